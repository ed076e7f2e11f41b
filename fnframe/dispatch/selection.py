"""Which messages and records a function gets: what its trigger's filter says of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..batch_event import moment
from ..event import Event
from ..trigger import kind_of
from .carried import unwrapped

if TYPE_CHECKING:
    from ..engine.protocol import Message, Record
    from ..trigger import Mapping

Admits = Callable[["Message | Record"], bool]


def selection_of(mapping: Mapping, source: str) -> Admits | None:
    """Asks the filter of the mapping's trigger; None where it has none. `source` names the queue or stream.

    The filter sees an event for each: its `data`, its `id`, its `source`, and its `key`, a message's group.
    """
    if mapping.trigger.filter is None:
        return None
    type_ = f"fnframe.{kind_of(mapping.trigger)}"

    def admits(one: Message | Record) -> bool:
        key = getattr(one, "key", None) or getattr(one, "group", None)
        return mapping.passes(
            Event(
                id=one.id or str(getattr(one, "position", "")),
                source=source,
                type=type_,
                time=moment(one.accepted),
                data=unwrapped(one.body).data,
                extensions={} if key is None else {"key": key},
            )
        )

    return admits
