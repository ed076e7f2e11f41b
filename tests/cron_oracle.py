"""What the cron trigger must fire, found by looking at a clock on the wall minute by minute. Knows no croniter.

The policy, literally: a time whose hours are chosen fires at the first minute at which the clock shows it; one that the
clock never shows fires at the first minute behind the gap that holds it. Where the hour is `*`, each minute at which
the clock shows the time fires.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = 86_400


class Job(NamedTuple):
    """A schedule of minutes and hours, for every day; `hours` is None for `*`."""

    expression: str
    minutes: frozenset[int]
    hours: frozenset[int] | None

    def names(self, wall: int) -> bool:
        minute, hour = wall // 60 % 60, wall // 3600 % 24
        return minute in self.minutes and (self.hours is None or hour in self.hours)


def job(minutes: object, hours: object = None) -> Job:
    """`job([0, 30])` is half-hourly, `job([30], [2])` daily at half past two."""
    chosen = frozenset(minutes)
    text = ",".join(map(str, sorted(chosen)))
    if hours is None:
        return Job(f"{text} * * * *", chosen, None)
    return Job(f"{text} {','.join(map(str, sorted(hours)))} * * *", chosen, frozenset(hours))


class Wall:
    """What a zone's clock shows at each minute from `begin` to `end`."""

    def __init__(self, zone: str, begin: int, end: int) -> None:
        info = ZoneInfo(zone)
        self.shows = {instant: wall_at(info, instant) for instant in range(begin, end, 60)}
        self.instants: dict[int, list[int]] = {}
        for instant, wall in self.shows.items():
            self.instants.setdefault(wall, []).append(instant)

    def firings(self, job: Job, begin: int, end: int) -> list[int]:
        """The instants from `begin` until before `end`; both must lie a day or more inside of what is known."""
        fired = set()
        for wall in range(min(self.shows.values()), max(self.shows.values()) + 60, 60):
            if job.names(wall):
                fired.update(self._instants(wall, fixed=job.hours is not None))
        return sorted(instant for instant in fired if begin <= instant < end)

    def _instants(self, wall: int, *, fixed: bool) -> list[int]:
        showing = self.instants.get(wall, [])
        if not fixed:
            return showing
        return [showing[0] if showing else self._behind_gap(wall)]

    def _behind_gap(self, wall: int) -> int:
        return next(
            instant for instant, shown in self.shows.items() if shown > wall > self.shows.get(instant - 60, wall)
        )


def wall_at(zone: ZoneInfo, instant: int) -> int:
    """What the clock shows, in seconds as if the zone were UTC."""
    shown = dt.datetime.fromtimestamp(instant, zone).replace(tzinfo=dt.UTC)
    return int(shown.timestamp())


def transitions(zone: str, begin: int, end: int) -> Iterator[int]:
    """The instants at which the zone's clocks are set, looked for hour by hour, to the minute."""
    info = ZoneInfo(zone)
    before = wall_at(info, begin) - begin
    for hour in range(begin, end, 3600):
        if wall_at(info, hour + 3600) - hour - 3600 != before:
            for minute in range(hour + 60, hour + 3660, 60):
                if wall_at(info, minute) - minute != before:
                    yield minute
                    before = wall_at(info, minute) - minute
