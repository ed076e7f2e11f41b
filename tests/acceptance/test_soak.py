"""A hundredth of bench/soak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def soak(script: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"bench.soak.{script}", *arguments]
    soak = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    return soak.stdout


@BACKENDS
def test_nothing_grows_while_functions_end_in_every_way(backend):
    assert "flat: nothing grew" in soak("lifecycle", "--invocations", "2000", "--stages", "4", "--backend", backend)


@BACKENDS
def test_each_way_to_misbehave_is_its_own_outcome_and_hurts_nobody(backend):
    # How fast a pool is says little while other tests run.
    told = soak("abuse", "--invocations", "100", "--slowest", "0.2", "--backend", backend)
    assert "held: each its own outcome" in told


def test_hosts_that_are_killed_lose_nothing_and_keep_order():
    told = soak("kills", "--kills", "3", "--events", "200", "--lease", "1")
    assert "nothing lost, nothing out of order" in told


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_a_long_stream_is_worked_off_in_bounded_memory(engine):
    told = soak("stream", "--records", "10000", "--engine", engine, "--most", "40")
    assert "all done, memory bounded" in told


@BACKENDS
def test_each_file_is_delivered_once_and_complete_whatever_is_done_to_it(backend):
    told = soak("files", "--divide", "100", "--backend", backend)
    assert "all were delivered, once and complete" in told


def test_of_several_processes_one_fires_each_instant():
    assert " 0 missing, 0 more than once; " in soak("cron", "--processes", "3", "--seconds", "2")


def test_the_bill_of_a_large_ledger_is_what_its_rows_say():
    assert "equal to the last unit" in soak("ledger", "--rows", "10000")


@pytest.mark.parametrize("how", [["--bursts"], ["--commit", "before-reply"]], ids=["bursts", "before the reply"])
def test_each_is_billed_once_whatever_is_killed(how):
    # How long a commit takes says little while other tests run.
    assert "each is billed once" in soak("bills", "--kills", "3", "--within", "1000", *how)
