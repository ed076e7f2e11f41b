"""A time zone as what it is: spans of time, each with the offset that its clocks had.

All in whole seconds: instants since the epoch, and times on the wall, which count as if the zone were UTC.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = 86_400
STRIDE = DAY // 2
"""No zone sets its clocks twice within so many seconds (a test looks)."""
BEFORE = 400 * DAY


class Span(NamedTuple):
    """From `start` until before `end` the clocks on the wall show the instant plus `offset`.

    The next one may have the same offset: spans end where nobody looked further, too.
    """

    start: int
    end: int
    offset: int


class Zone:
    """The spans of a zone, found as far as somebody asks. Raises `ZoneInfoNotFoundError` for a name that is none."""

    def __init__(self, name: str) -> None:
        self.info = ZoneInfo(name)
        self._starts: list[int] = []
        self._offsets: list[int] = []
        self._until = 0

    def spans(self, instant: int) -> Iterator[Span]:
        """The span that holds an instant, and those behind it without end."""
        self._look(instant)
        place = bisect_right(self._starts, instant) - 1
        start = self._starts[place]
        while True:
            is_last = place + 1 == len(self._starts)
            end = self._until if is_last else self._starts[place + 1]
            yield Span(start, end, self._offsets[place])
            if is_last:
                self._look(end)
            start, place = end, bisect_right(self._starts, end) - 1

    def instant(self, wall: int) -> int:
        """When the clocks first show this time, or leap over it."""
        for span in self.spans(wall - 2 * DAY):
            if wall - span.offset < span.end:
                return max(wall - span.offset, span.start)
        raise AssertionError

    def showings(self, wall: int) -> list[int]:
        """All instants at which the clocks show this time."""
        found = set()
        for span in self.spans(wall - 2 * DAY):
            if span.start > wall + 2 * DAY:
                break
            if span.start <= wall - span.offset < span.end:
                found.add(wall - span.offset)
        return sorted(found)

    def shown(self, instant: int) -> int:
        """The latest time that the clocks have shown: what they show now, or did before they were set back."""
        latest = instant - 2 * DAY
        for span in self.spans(latest):
            latest = max(latest, min(instant, span.end - 1) + span.offset)
            if span.end > instant:
                return latest
        raise AssertionError

    def offset(self, instant: int) -> int:
        """What the zone's clocks are ahead of UTC."""
        ahead = dt.datetime.fromtimestamp(instant, self.info).utcoffset()
        assert ahead is not None
        return round(ahead.total_seconds())

    def _look(self, instant: int) -> None:
        """Know the changes until some time after an instant, and from before it."""
        if not self._starts or instant < self._starts[0]:
            self._until = instant - BEFORE
            self._starts, self._offsets = [self._until], [self.offset(self._until)]
        while self._until <= instant + DAY:
            self._step()

    def _step(self) -> None:
        low, high = self._until, self._until + STRIDE
        self._until = high
        new = self.offset(high)
        if new == self._offsets[-1]:
            return
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.offset(middle) == new else (middle, high)
        self._starts.append(high)
        self._offsets.append(new)


zone = lru_cache(maxsize=None)(Zone)
"""One object for each zone, since many schedules share it."""
