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

    async def wait_for_time(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the clock shows `until`, in seconds since the epoch.

        Returns early when the clock is set back: who waits for a time of day has to look anew then.
        """


LOOK = 1.0
"""Seconds for which a step of the machine's clock may go unnoticed by who waits for a time."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since the epoch, as the machine's clock shows them."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a scale that nobody sets."""
        return time.monotonic()

    async def wait(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the moment `until`, on the monotonic scale, has come."""
        with anyio.move_on_after(until - time.monotonic()):
            await event.wait()

    async def wait_for_time(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the clock shows `until`; early, when it is set back."""
        before = time.time()
        while not event.is_set() and (left := until - before) > 0:
            with anyio.move_on_after(min(left, LOOK)):
                await event.wait()
            now = time.time()
            if now < before:
                return
            before = now
