"""Time that a test turns by hand."""

from __future__ import annotations

import anyio


class ManualClock:
    """A clock that stands still until `advance` is called. Takes the place of the machine's for retries and leases."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def wait(self, event: anyio.Event, until: float) -> None:
        if until > self._now:
            sleeper = (until, event)
            self._sleepers.append(sleeper)
            try:
                await event.wait()
            finally:
                if sleeper in self._sleepers:
                    self._sleepers.remove(sleeper)

    def advance(self, seconds: float) -> None:
        """Move on, and wake whoever waited for a moment that has come."""
        self._now += seconds
        for sleeper in list(self._sleepers):
            if sleeper[0] <= self._now:
                self._sleepers.remove(sleeper)
                sleeper[1].set()

    def next_moment(self) -> float | None:
        """The earliest moment that anybody waits for, in seconds since the epoch."""
        return min((until for until, _ in self._sleepers), default=None)
