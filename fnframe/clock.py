"""Time, for everything that waits for a moment: retries, leases, schedules. Deadlines of handlers are real time."""

from __future__ import annotations

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """A source of time that tests can turn by hand."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a scale that nobody sets: for leases and delays."""

    async def wait(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the moment `until`, on the monotonic scale, has come."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def wait(self, event: anyio.Event, until: float) -> None:
        with anyio.move_on_after(until - time.monotonic()):
            await event.wait()
