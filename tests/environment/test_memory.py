"""Memory of processes: what they have resident, what they share, and the limit over all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from facts import until

from fnframe.environment import memory
from fnframe.runtime.running import run_target

APP = str(Path(__file__).parent.parent / "apps" / "behaviours.py")
MB = 1024

HOLDS = r"""
import os, sys, threading
held = bytearray(int(sys.argv[1]) * 2**20)
for start in range(0, len(held), 4096):
    held[start] = 1
children = []
def fork():
    pid = os.fork()
    if pid == 0:
        own = bytearray(b"x" * (5 * 2**20))
        os.write(1, b"ready\n")
        sys.stdin.read()
        os._exit(0)
    children.append(pid)
fork()
thread = threading.Thread(target=fork)
thread.start()
thread.join()
os.write(1, f"{children[0]} {children[1]}\n".encode())
sys.stdin.read()
"""


@pytest.fixture
def holder():
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, "50"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline() for _ in range(3)]
    yield process.pid, [int(pid) for line in lines if line != "ready\n" for pid in line.split()]
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def test_descendants_are_found_under_whichever_thread_forked_them(holder):
    pid, children = holder
    assert len(children) == 2
    assert sorted(memory.descendants(pid)) == sorted(children)


def test_what_a_fork_shares_counts_once(holder):
    pid, children = holder
    assert memory.resident_kb(pid) >= 50 * MB
    assert all(memory.resident_kb(child) >= 50 * MB for child in children), "what it shares is resident in it too"
    assert all(5 * MB <= memory.private_kb(child) < 12 * MB for child in children)
    assert 10 * MB <= memory.of_children_kb(pid, 20 * MB) < 24 * MB
    assert memory.of_children_kb(pid, 1000 * MB) >= 100 * MB, "no need to look closer"


def test_a_process_that_is_gone_has_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert memory.descendants(process.pid) == []
    assert memory.resident_kb(process.pid) == memory.private_kb(process.pid) == 0


def busy(running) -> list:
    return [environment for environment in running.pool._live if environment.in_flight and environment.pid]


def counted_kb(running) -> int:
    """What was counted of the environment that is busy beyond its own process."""
    return max((each._sampled_kb - memory.resident_kb(each.pid) for each in busy(running)), default=0)


def own_kb(running) -> list[int]:
    """What each child of the environment that is busy has for itself."""
    return [memory.private_kb(child) for each in busy(running) for child in memory.descendants(each.pid)]


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["fork", "program"])
async def test_the_limit_is_for_the_environment_with_its_children(how, tmp_path):
    async with run_target(APP) as running:
        outcome = await running.invoke("children_hold", [how, 3, 60, str(tmp_path / "never")])
        assert outcome.error_type == "Runtime.OutOfMemory"
        assert 128 < outcome.report.max_memory_used_mb < 400


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["fork", "program"])
async def test_the_childrens_part_is_in_the_report(how, tmp_path):
    gate = tmp_path / "gate"
    outcomes = []
    async with run_target(APP) as running, anyio.create_task_group() as tasks:

        async def invoke():
            outcomes.append(await running.invoke("children_hold", [how, 1, 60, str(gate)]))

        tasks.start_soon(invoke)
        await until(lambda: counted_kb(running) > 60 * MB)
        gate.touch()
    assert outcomes[0].unwrap() == "held"
    assert 60 < outcomes[0].report.max_memory_used_mb < 128


@pytest.mark.anyio
async def test_children_that_share_their_parents_memory_are_within_its_limit(tmp_path):
    gate = tmp_path / "gate"
    outcomes = []
    async with run_target(APP) as running, anyio.create_task_group() as tasks:

        async def invoke():
            outcomes.append(await running.invoke("forks_share", [70, str(gate)]))

        tasks.start_soon(invoke)
        await until(lambda: len(own_kb(running)) == 3)
        await until(lambda: counted_kb(running) > sum(own_kb(running)) / 2)  # At least two of them were looked at.
        gate.touch()
    assert outcomes[0].unwrap() == "shared"
    assert 70 < outcomes[0].report.max_memory_used_mb < 128
