from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fnframe import hookimpl
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


class Listener:
    """A plugin that notes what observers hear."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.settled: list[tuple[Any, ...]] = []
        self.filtered: list[str] = []

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.reports.append(report)

    @hookimpl
    def fnframe_event_settled(self, function, event, outcome, attempts, destination):
        self.settled.append((function.name, event.id, outcome.report.outcome, attempts, destination))

    @hookimpl
    def fnframe_event_filtered(self, event):
        self.filtered.append(event.id)


class World:
    """A running app whose clock is turned by hand, and the lines that its handlers write."""

    def __init__(self, running, clock, listener, directory: Path) -> None:
        self.running = running
        self.clock = clock
        self.listener = listener
        self._log = directory / "log"

    def log(self, function: str = "") -> list[str]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.removeprefix(f"{function} ") for line in lines if line.startswith(function)]


@pytest.fixture
async def world(write_app, tmp_path, request):
    """`world(source)`: run an app; `settings` as for `run_target`."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:

        async def start(source: str, **settings: Any) -> World:
            clock, listener = ManualClock(), Listener()
            running = run_target(write_app(source), clock=clock, plugins=[listener], settings=settings)
            return World(await stack.enter_async_context(running), clock, listener, tmp_path)

        yield start


@pytest.fixture
def write_app(tmp_path: Path):
    def write(source: str) -> str:
        (tmp_path / "app.py").write_text(PRELUDE + source)
        return str(tmp_path / "app.py")

    return write


PRELUDE = """
import os
from pathlib import Path

import msgspec
from fnframe import App, Batch, Context
from fnframe_stream import Stream

app = App("streams")
HERE = Path(__file__).parent


def note(*words):
    with open(HERE / "log", "a") as log:
        log.write(" ".join(map(str, words)) + "\\n")


class Click(msgspec.Struct):
    n: int

"""
