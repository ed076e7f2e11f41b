"""When a schedule's time has come: the calendar by croniter, the clocks on the wall by their zone.

croniter counts times that know no zone. What such a time means where clocks are set is decided here, so that it does
not change with croniter's releases.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from croniter import CroniterBadDateError, croniter

from .expression import Calendar, Once, Rate, parse
from .zone import DAY, Zone, zone


class Moments:
    """The instants of a schedule, in seconds since the epoch. No two are nearer to each other than `least` seconds."""

    rule = ""
    """How they come, for a person."""

    def __init__(self, where: Zone, least: int) -> None:
        self.zone = where
        self.least = least

    def next(self, after: int) -> int | None:
        """The first instant after this one; None where there is none."""
        raise NotImplementedError

    def wall(self, instant: int) -> int | None:
        """The time that has come at an instant; another one than the clocks show where they leapt over it."""
        return instant + self.zone.offset(instant)

    def latest(self, first: int, until: int) -> int:
        """The last instant that is not after `until`; `first` is one of them."""
        low, high = first, until
        width = max(1, (self.next(first) or until) - first)
        while low < high:
            middle = max(high - width, low)
            found = self.next(middle)
            if found is not None and found <= until:
                low, width = found, max(1, width // 2)
            else:
                high, width = middle, 2 * width
        return low


@lru_cache(maxsize=10_000)
def moments(expression: str, tz: str) -> Moments:
    """The instants of an expression in a zone; kept, since to parse costs twice what the next instant does, and many
    schedules share theirs."""
    meant, where = parse(expression), zone(tz)
    if isinstance(meant, Rate):
        return _Periods(where, meant)
    if isinstance(meant, Once):
        return _One(where, meant)
    return _Shown(where, meant) if meant.every_hour else _Reached(where, meant)


class _Periods(Moments):
    rule = "A period, counted from 1970-01-01 00:00 UTC: clocks that are set do not matter."

    def __init__(self, where: Zone, rate: Rate) -> None:
        super().__init__(where, rate.seconds)

    def next(self, after: int) -> int | None:
        return (after // self.least + 1) * self.least


class _One(Moments):
    rule = "One time, which comes once."

    def __init__(self, where: Zone, once: Once) -> None:
        super().__init__(where, 60)
        self._wall = once.wall
        self._instant = where.instant(once.wall)

    def next(self, after: int) -> int | None:
        return self._instant if self._instant > after else None

    def wall(self, instant: int) -> int | None:
        return self._wall


class _Reached(Moments):
    """A time comes when the clocks first show it, or leap over it."""

    rule = "The hours are chosen: each time comes once a day, also where clocks are set."

    def __init__(self, where: Zone, calendar: Calendar) -> None:
        super().__init__(where, 1 if calendar.seconds else 60)
        self._times = _times_of(calendar)

    def next(self, after: int) -> int | None:
        wall = self._times.next(self.zone.shown(after))
        return None if wall is None else self.zone.instant(wall)

    def wall(self, instant: int) -> int | None:
        return self._times.next(self.zone.shown(instant - 1))


class _Shown(Moments):
    """A time comes whenever the clocks show it."""

    rule = "Every hour is meant: a time comes whenever the clocks show it."

    def __init__(self, where: Zone, calendar: Calendar) -> None:
        super().__init__(where, 1 if calendar.seconds else 60)
        self._times = _times_of(calendar)

    def next(self, after: int) -> int | None:
        ended = False
        for span in self.zone.spans(after):
            wall = self._times.next(max(after, span.start - 1) + span.offset)
            if wall is not None and wall - span.offset < span.end:
                return wall - span.offset
            if wall is None and ended:
                break
            # Clocks that are set back may show the last times of a calendar once more.
            ended = wall is None
        return None


class _Times:
    """The times of a calendar, in seconds as the clocks on the wall count them."""

    def __init__(self, calendar: Calendar) -> None:
        self._croniter = croniter(calendar.fields, 0.0, day_or=calendar.either)

    def next(self, after: int) -> int | None:
        """The first time after this one; None where there is none."""
        try:
            return int(self._croniter.get_next(float, start_time=after, update_current=False))
        except CroniterBadDateError:
            return None


class _LastWeekdays(_Times):
    """`LW`, which croniter does not know: the last days of months, each moved back from a weekend."""

    def next(self, after: int) -> int | None:
        last = super().next(after)
        while last is not None:
            weekday = dt.datetime.fromtimestamp(last, dt.UTC).weekday()
            if (moved := last - max(0, weekday - 4) * DAY) > after:
                return moved
            last = super().next(last)
        return None


def _times_of(calendar: Calendar) -> _Times:
    return _LastWeekdays(calendar) if calendar.last_weekday else _Times(calendar)
