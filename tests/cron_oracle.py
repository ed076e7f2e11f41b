"""What the cron trigger must fire, found by looking at a clock on the wall minute by minute. Knows no croniter.

The policy, literally: a time whose hours are chosen fires at the first minute at which the clock shows it; one that the
clock never shows fires at the first minute behind the gap that holds it. Where the hour is `*`, each minute at which
the clock shows the time fires.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = 86_400
SECOND = dt.timedelta(seconds=1)


class Job(NamedTuple):
    """A schedule of minutes and hours, for every day. `chosen` is whether its hours are, and not `*` or `*/3`, say."""

    expression: str
    minutes: frozenset[int]
    hours: frozenset[int]
    chosen: bool

    def times(self) -> Iterator[int]:
        """The times of a day, in seconds."""
        for hour in self.hours:
            for minute in self.minutes:
                yield hour * 3600 + minute * 60


def job(minutes: Iterable[int], hours: Iterable[int] | int = 1) -> Job:
    """`job([0, 30])` is half-hourly, `job([0], 3)` each third hour, `job([30], [2])` daily at half past two."""
    minutes = frozenset(minutes)
    text = ",".join(map(str, sorted(minutes)))
    if isinstance(hours, int):
        every = "*" if hours == 1 else f"*/{hours}"
        return Job(f"{text} {every} * * *", minutes, frozenset(range(0, 24, hours)), chosen=False)
    return Job(f"{text} {','.join(map(str, sorted(hours)))} * * *", minutes, frozenset(hours), chosen=True)


class Wall:
    """What a zone's clock shows at each minute from `begin` to `end`."""

    def __init__(self, zone: str, begin: int, end: int) -> None:
        info = ZoneInfo(zone)
        self.shows = {instant: wall_at(info, instant) for instant in range(begin, end, 60)}
        self.instants: dict[int, list[int]] = {}
        for instant, wall in self.shows.items():
            self.instants.setdefault(wall, []).append(instant)

    def firings(self, job: Job, begin: int, end: int) -> list[int]:
        """The instants from `begin` until before `end`; both must lie two days or more inside of what is known."""
        fired = set()
        for day in range((begin - DAY) // DAY * DAY, end + DAY, DAY):
            for time in job.times():
                fired.update(self._instants(day + time, chosen=job.chosen))
        return sorted(instant for instant in fired if begin <= instant < end)

    def _instants(self, wall: int, *, chosen: bool) -> list[int]:
        showing = self.instants.get(wall, [])
        if not chosen:
            return showing
        return [showing[0] if showing else self._behind_gap(wall)]

    def _behind_gap(self, wall: int) -> int:
        return next(
            instant for instant, shown in self.shows.items() if shown > wall > self.shows.get(instant - 60, wall)
        )


def wall_at(zone: ZoneInfo, instant: int) -> int:
    """What the clock shows, in seconds as if the zone were UTC."""
    return instant + dt.datetime.fromtimestamp(instant, zone).utcoffset() // SECOND


def transitions(zone: str, begin: int, end: int) -> Iterator[int]:
    """The instants at which the zone's clocks are set, looked for every two hours, to the minute."""
    info = ZoneInfo(zone)
    before = wall_at(info, begin) - begin
    for hour in range(begin, end, 7200):
        if wall_at(info, hour + 7200) - hour - 7200 != before:
            for minute in range(hour + 60, hour + 7260, 60):
                if wall_at(info, minute) - minute != before:
                    yield minute
                    before = wall_at(info, minute) - minute
