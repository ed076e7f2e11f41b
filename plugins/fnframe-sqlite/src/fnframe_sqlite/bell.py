"""Rings when a moment has come that may change meanwhile."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio


class Bell:
    """Calls `ring` when its moment has come, by the clock whose `now` and `wait` these are."""

    def __init__(
        self, now: Callable[[], float], wait: Callable[[anyio.Event, float], Awaitable[None]], ring: Callable[[], None]
    ) -> None:
        self.moment = math.inf
        self._now = now
        self._wait = wait
        self._ring = ring
        self._changed = anyio.Event()

    def set(self, moment: float) -> None:
        """Ring at this moment, and at no other."""
        if moment != self.moment:
            self.moment = moment
            self._changed.set()

    async def run(self) -> None:
        """Ring until cancelled."""
        while True:
            self._changed = anyio.Event()
            if self.moment == math.inf:
                await self._changed.wait()
                continue
            moment = self.moment
            await self._wait(self._changed, moment)
            # It has come; or the clock was set back, and by that it may be another one.
            if self.moment == moment or self.moment <= self._now():
                self.moment = math.inf
                self._ring()
