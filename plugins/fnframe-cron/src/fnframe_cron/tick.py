"""What a handler gets: the instant for which it runs."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Self, cast

import msgspec

from fnframe import Event
from fnframe.event import now

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data = TypeVar("Data", default=Any)
else:
    from typing import TypeVar

    Data = TypeVar("Data")

TICK = "fnframe.cron.tick"
"""The type of the events."""


class Tick(msgspec.Struct, Generic[Data], frozen=True, kw_only=True):
    """The firing of a schedule. `Tick[Report]` decodes the data that the schedule was added with, and checks it.

    The constructor is for tests of handlers: `sweep(Tick(scheduled=...))`.
    """

    schedule: str = ""
    """The schedule's name, or its expression where it has none."""
    scheduled: dt.datetime = msgspec.field(default_factory=now)
    """The instant for which it fires, with the offset that its time zone has then."""
    fired: dt.datetime = msgspec.field(default_factory=now)
    """When it fired: later than scheduled by its share of the window, or by what kept it."""
    previous: dt.datetime | None = None
    """The instant for which the schedule fired before: what has happened since is this tick's to look after."""
    tz: str = "UTC"
    """The schedule's time zone."""
    data: Data = cast("Data", None)
    """What the schedule was added with."""

    @classmethod
    def from_event(cls, event: Event, type_: Any = Any) -> Self:
        """The tick of an event; one that no schedule made (`fnframe invoke`) is a tick of now with its data.

        Raises `msgspec.DecodeError` where the data is not of the type.
        """
        if event.type == TICK:
            tick: Self = _decoder(cls, type_)(event.data)
            return tick
        data = msgspec.json.decode(event.data, type=type_)
        return cls(schedule=event.source, scheduled=event.time, fired=event.time, data=data)


@lru_cache(maxsize=256)
def _decoder(cls: Any, type_: Any) -> Any:
    return msgspec.json.Decoder(cls if type_ is Any else cls[type_]).decode
