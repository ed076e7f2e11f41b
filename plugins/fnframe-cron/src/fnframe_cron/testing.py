"""For tests: the event of a schedule that fires."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from fnframe import Event
from fnframe.event import new_id

from .entry import SOURCE
from .tick import TICK, Tick


def tick_event(scheduled: dt.datetime | None = None, *, schedule: str = "test", data: Any = None) -> Event:
    """The event of the schedule of this name (or expression) at an instant, now by default; `data` is its own."""
    tick: Tick[Any] = Tick(schedule=schedule, data=data) if scheduled is None else _tick(scheduled, schedule, data)
    return Event(
        id=new_id(), source=SOURCE, type=TICK, subject=schedule, time=tick.scheduled, data=msgspec.json.encode(tick)
    )


def _tick(scheduled: dt.datetime, schedule: str, data: Any) -> Tick[Any]:
    return Tick(schedule=schedule, scheduled=scheduled, fired=scheduled, data=data)
