"""Several processes that each fire the schedules of one app, since their engine is in memory."""

from __future__ import annotations

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fnframe_cron.alone import alone

PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from fnframe_cron.alone import alone

mapping = SimpleNamespace(app="shop", directory=Path(sys.argv[1]), shared=False)
with alone([mapping]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def mapping(tmp_path):
    return SimpleNamespace(app="shop", directory=tmp_path, shared=False)


@pytest.fixture
def other(tmp_path):
    """A process that serves the app already."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def warnings(caplog, mapping):
    caplog.clear()
    with caplog.at_level(logging.WARNING, "fnframe.cron"), alone([mapping]):
        return caplog.text


def test_the_second_process_is_told_of_the_first(other, mapping, caplog):
    text = warnings(caplog, mapping)
    assert f"process {other.pid} runs the schedules of app 'shop' in {mapping.directory} too" in text
    assert "each of them fires in both, since the engine is memory" in text
    other.kill()
    other.wait()
    assert warnings(caplog, mapping) == ""


def test_another_app_is_no_matter(other, mapping, caplog, tmp_path):
    mapping.app = "other"
    assert warnings(caplog, mapping) == ""
    mapping.app, mapping.directory = "shop", tmp_path / "other"
    assert warnings(caplog, mapping) == ""


def test_an_engine_that_they_share_sees_to_it(other, mapping, caplog):
    mapping.shared = True
    assert warnings(caplog, mapping) == ""


def test_a_reload_serves_again(mapping, caplog):
    for _ in range(3):
        assert warnings(caplog, mapping) == ""
