"""Events as triggers make them. Those of one kind of trigger are made by its plugin: `fnframe_http.testing`,
`fnframe_files.testing` and `fnframe_cron.testing`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..batch_event import Item, Origin
from ..batch_event import batch_event as made
from ..event import Event, encode_json, new_id, now


def event(data: Any = None, **attributes: Any) -> Event:
    """An event with this data, anything that encodes to JSON; `attributes` are those of `Event`, all with defaults."""
    defaults = {"id": new_id(), "source": "test", "type": "fnframe.test", "time": now(), "data": encode_json(data)}
    return Event(**{**defaults, **attributes})


def batch_event(
    records: Sequence[Any], *, source: str = "queue:test", keys: Sequence[str] | None = None, single: bool = False
) -> Event:
    """The event of a batch, for a function that a queue or a stream feeds: one record for each of these data.

    `source` is `"queue:NAME"` or `"stream:NAME"`; `keys` are the keys of a stream's records, or the groups of a queue's
    messages. `single` is for a function with `batch_size=1`. The ids of messages are `"0"`, `"1"` and so on; the
    positions in a stream count from 1.
    """
    kind, _, _ = source.partition(":")
    accepted = now().timestamp()
    items = tuple(
        Item(
            str(number),
            1,
            accepted,
            keys[number] if keys is not None else "" if kind == "stream" else None,
            number + 1 if kind == "stream" else 0,
        )
        for number in range(len(records))
    )
    origin = Origin(source, items, partition=0 if kind == "stream" else -1, single=single)
    return made(new_id(), f"fnframe.{kind}.batch", origin, [encode_json(record) for record in records])
