"""When a schedule fires, told to a person: the next firings, and those next to where clocks are set."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from .moments import moments
from .zone import DAY, Span, Zone

if TYPE_CHECKING:
    from .moments import Moments
    from .trigger import Cron

YEAR = 366 * DAY
NEAR = 3 * DAY
AT_MOST = 4
"""So many firings are told on each side of a change of the clocks."""


def explained(cron: Cron, after: dt.datetime | None, count: int) -> Iterator[str]:
    """The lines; of at most 80 columns where the expression is short. `after` is a time on the zone's clocks."""
    schedule = moments(cron.expression, cron.tz)
    where = schedule.zone
    begin = int(time.time()) if after is None else where.instant(int(after.replace(tzinfo=dt.UTC).timestamp())) - 1
    yield f"{cron.expression} in {cron.tz}"
    yield schedule.rule
    yield ""
    firings = list(islice(_forwards(schedule, begin), count))
    if not firings:
        yield f"No time is left after {_shown(begin, where.offset(begin))}."
    for instant in firings:
        yield _line(schedule, instant)
    for before, change in islice(_changes(where, begin), 2):
        yield ""
        yield f"{_shown(change.start, before.offset)} becomes {_clock(change.start, change.offset)}:"
        yield from _around(schedule, change.start, abs(change.offset - before.offset))


def _forwards(schedule: Moments, after: int) -> Iterator[int]:
    while (instant := schedule.next(after)) is not None:
        yield instant
        after = instant


def _backwards(schedule: Moments, before: int) -> Iterator[int]:
    first = schedule.next(before - NEAR)
    while first is not None and first < before:
        before = schedule.latest(first, before - 1)
        yield before


def _changes(where: Zone, begin: int) -> Iterator[tuple[Span, Span]]:
    """Where clocks are set within a year."""
    for before, change in pairwise(where.spans(begin)):
        if before.end > begin + YEAR:
            return
        if before.offset != change.offset:
            yield before, change


def _around(schedule: Moments, change: int, leap: int) -> Iterator[str]:
    """The firings within the time that is leapt over or comes twice, and the first ones beyond it."""
    sides = []
    for firings in (_backwards(schedule, change), _forwards(schedule, change - 1)):
        side = []
        for instant in islice(firings, AT_MOST):
            if abs(instant - change) < NEAR:
                side.append(_line(schedule, instant))
            if abs(instant - change) > leap:
                break
        sides.append(side)
    before, after = sides
    yield from [*reversed(before), *after] or ["  nothing fires within three days"]


def _line(schedule: Moments, instant: int) -> str:
    local = _shown(instant, schedule.zone.offset(instant))
    utc = dt.datetime.fromtimestamp(instant, dt.UTC)
    note = _oddity(schedule, instant)
    return f"  {local}  {utc:%Y-%m-%d} {_time(utc)} UTC" + (f"  {note}" if note else "")


def _oddity(schedule: Moments, instant: int) -> str:
    """What is odd about the time that has come at an instant."""
    where, wall = schedule.zone, schedule.wall(instant)
    if wall is None:
        return ""
    time_ = _time(_on_wall(wall))
    if wall != instant + where.offset(instant):
        return f"gap: no {time_}"
    showings = where.showings(wall)
    if len(showings) < 2:
        return ""
    return f"fold: {'first' if instant == showings[0] else 'second'} {time_}"


def _shown(instant: int, offset: int) -> str:
    """`Sun 2026-03-29 03:00 +02:00`."""
    return f"{_on_wall(instant + offset):%a %Y-%m-%d} {_clock(instant, offset)}"


def _clock(instant: int, offset: int) -> str:
    sign, ahead = "-+"[offset >= 0], dt.timedelta(seconds=abs(offset))
    return f"{_time(_on_wall(instant + offset))} {sign}{_time(_on_wall(0) + ahead)}"


def _on_wall(wall: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(wall, dt.UTC)


def _time(moment: dt.datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
