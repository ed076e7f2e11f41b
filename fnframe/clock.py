"""Time, for everything that waits for a moment: retries, leases, schedules. Deadlines of handlers are real time."""

from __future__ import annotations

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """A source of time that tests can turn by hand."""

    def time(self) -> float:
        """Seconds since the epoch."""

    async def wait(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the moment `until` has come."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        return time.time()

    async def wait(self, event: anyio.Event, until: float) -> None:
        with anyio.move_on_after(until - time.time()):
            await event.wait()
