from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fnframe_sqlite import SqliteEngine

from fnframe.engine.protocol import EngineOptions
from fnframe.testing.clock import ManualClock

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make(tmp_path, clock):
    """Make an engine on the file `engine.db` of a folder of the test's own; `url` and options may be others."""

    def make(url="sqlite:///engine.db", **options):
        return SqliteEngine(url, EngineOptions(**({"directory": tmp_path, "clock": clock} | options)))

    return make


@pytest.fixture
def program(tmp_path):
    """Start one of the programs in a process of its own, whose standard output is read line by line."""
    processes = []

    def program(name, *arguments):
        command = [sys.executable, str(PROGRAMS / f"{name}.py"), str(tmp_path), *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, bufsize=1)
        processes.append(process)
        return process

    yield program
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()
