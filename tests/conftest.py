from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("FNFRAME_")}
ENVIRONMENT |= {"COLUMNS": "80", "PYTHONUNBUFFERED": "1"}
COMMAND = [sys.executable, "-m", "fnframe.cli"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def write_app(tmp_path: Path):
    """Write an app's source into a folder of its own; returns the path of its app.py."""

    def write(source: str, name: str = "app.py") -> str:
        path = tmp_path / name
        path.write_text(source)
        return str(path)

    return write


@pytest.fixture
def fnframe(tmp_path):
    """Run a command to its end, in the folder that holds `demo`."""

    def fnframe(*arguments, **options):
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=ENVIRONMENT | options.pop("environ", {}),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            **options,
        )

    return fnframe


class Started:
    """A command that runs until it is ended; `read_until` waits for the line that tells a fact."""

    def __init__(self, process):
        self.process = process
        self.lines = []

    def read_until(self, *words):
        """Read until each word has come, in any order; the last line read."""
        left = set(words)
        for line in self.process.stdout:
            self.lines.append(line)
            left = {word for word in left if word not in line}
            if not left:
                return line
        raise AssertionError(f"{left} never came:\n{''.join(self.lines)}")

    def end(self, number=signal.SIGTERM):
        """Send a signal and wait for the exit status."""
        self.process.send_signal(number)
        self.lines += self.process.stdout.readlines()
        return self.process.wait(30)


@pytest.fixture
def start(tmp_path):
    """Start a command whose two outputs come on one pipe; it is ended with the test."""
    processes = []

    def start(*arguments, environ=None):
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=ENVIRONMENT | (environ or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return Started(process)

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
