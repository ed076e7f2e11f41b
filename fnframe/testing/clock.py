"""Time that a test turns by hand."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint


class ManualClock:
    """A clock that stands still until `advance` is called. Takes the place of the machine's for schedules, retries and
    leases."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._step = 0.0
        self._sleepers: list[_Sleeper] = []

    def time(self) -> float:
        """Seconds since the epoch, as they were turned to."""
        return self._now + self._step

    def monotonic(self) -> float:
        """Seconds that `step` does not change: what was turned, and where the clock began."""
        return self._now

    async def wait(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the clock was turned to `until`, on the monotonic scale."""
        await self._sleep(event, until, wall=False)

    async def wait_for_time(self, event: anyio.Event, until: float) -> None:
        """Return when the event is set or the clock shows `until`; early, when it is set back."""
        await self._sleep(event, until - self._step, wall=True)

    def advance(self, seconds: float) -> None:
        """Move on, and wake whoever waited for a moment that has come."""
        self._now += seconds
        self._wake(lambda sleeper: sleeper.until <= self._now)

    def turn_to(self, moment: float) -> None:
        """Move on to a moment as `time` shows it; nothing where it has passed."""
        self._now = max(self._now, moment - self._step)
        self._wake(lambda sleeper: sleeper.until <= self._now)

    def step(self, seconds: float) -> None:
        """Set the time that the clock shows, as somebody does who corrects it; no time passes."""
        self._step += seconds
        for sleeper in self._sleepers:
            if sleeper.wall:
                sleeper.until -= seconds
        self._wake(lambda sleeper: sleeper.until <= self._now or (sleeper.wall and seconds < 0))

    def next_moment(self) -> float | None:
        """The earliest moment that anybody waits for, as `time` will show it."""
        return min(self.moments(), default=None)

    def moments(self) -> list[float]:
        """The moments that somebody waits for, as `time` will show them."""
        return [sleeper.until + self._step for sleeper in self._sleepers]

    async def _sleep(self, event: anyio.Event, until: float, *, wall: bool) -> None:
        if until <= self._now:
            return await checkpoint()
        sleeper = _Sleeper(until, wall)
        self._sleepers.append(sleeper)
        try:
            with sleeper.scope:
                await event.wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def _wake(self, is_due: Callable[[_Sleeper], bool]) -> None:
        for sleeper in [sleeper for sleeper in self._sleepers if is_due(sleeper)]:
            self._sleepers.remove(sleeper)
            sleeper.scope.cancel()  # Not the event, which says something to who waits for it.


class _Sleeper:
    """Who waits, until when on the monotonic scale, and whether for what the clock shows."""

    def __init__(self, until: float, wall: bool) -> None:
        self.scope = anyio.CancelScope()
        self.until = until
        self.wall = wall
