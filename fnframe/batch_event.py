"""How the event of a batch carries its records.

The event's `data` is a JSON array of the records' data, so that a handler may ask for `list[Order]`; `origin` has
what is known of each record besides. Where a mapping's batches are of one, `data` is that record's, so that a handler
may ask for `Order`. With a tumbling window, `data` is an object with the member names of Lambda.
"""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from .event import JSON, UNDECODABLE, Event, encode_json, now

BYTES = "application/octet-stream"
TEXT = "text/plain"


class Item(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a record beside its data. `key` is a message's group or a record's key; `position` is 0 in a
    queue; `content_type` is empty for JSON."""

    id: str
    attempt: int
    accepted: float
    key: str | None = None
    position: int = 0
    content_type: str = ""
    traceparent: str | None = None

    @property
    def name(self) -> str:
        """By what a handler names it when it failed."""
        return str(self.position) if self.position else self.id


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A tumbling window, in seconds since the epoch, and what this invocation is in it."""

    start: float
    end: float
    is_final: bool = False
    is_terminated_early: bool = False


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """What the event of a batch carries beside the records' data. `partition` is -1 in a queue."""

    source: str
    items: tuple[Item, ...]
    partition: int = -1
    single: bool = False
    span: Span | None = None


encode_origin = msgspec.msgpack.Encoder().encode
_decode_origin = msgspec.msgpack.Decoder(Origin).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode


class _Windowed(msgspec.Struct):
    """The data of an event with a tumbling window."""

    records: msgspec.Raw = msgspec.field(name="Records", default_factory=lambda: msgspec.Raw(b"[]"))
    state: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


_decode_windowed = msgspec.json.Decoder(_Windowed).decode


def origin_of(event: Event) -> Origin:
    """What the event of a batch carries beside the data: for who makes other shapes of it (AWS's, say)."""
    return _decode_origin(event.origin)


def bodies_of(event: Event, origin: Origin) -> list[bytes]:
    """The data of each record of such an event, as it was sent."""
    if origin.single:
        return [event.data]
    raws = _decode_raws(event.data if origin.span is None else _decode_windowed(event.data).records)
    return [_sent(bytes(raw), item.content_type) for raw, item in zip(raws, origin.items, strict=True)]


def batch_event(
    id_: str, type_: str, origin: Origin, bodies: Sequence[bytes], *, depth: int = 0, state: bytes = b"{}"
) -> Event:
    """The event of a batch. `state` is what the window's last invocation left, as JSON."""
    first = origin.items[0] if len(origin.items) == 1 else None
    data, types = (bodies[0], _types(bodies)) if origin.single else _joined(bodies)
    if types is not None:
        items = tuple(replace(item, content_type=type_) for item, type_ in zip(origin.items, types, strict=True))
        origin = replace(origin, items=items)
    if origin.span is not None:
        data = _windowed(origin, data, state)
    return Event(
        id=id_,
        source=origin.source,
        type=type_,
        time=now(),
        data=data,
        datacontenttype=types[0] or JSON if origin.single and types is not None else JSON,
        subject=first.name if first is not None else None,
        traceparent=first.traceparent if first is not None else None,
        origin=encode_origin(origin),
        depth=depth,
    )


def _types(bodies: Sequence[bytes]) -> list[str] | None:
    """The content type of each body, empty for JSON; None where all are JSON."""
    types = [_type_of(body) for body in bodies]
    return types if any(types) else None


def _type_of(body: bytes) -> str:
    try:
        body.decode()
        _decode_raw(body)
    except UnicodeDecodeError:
        return BYTES
    except (msgspec.DecodeError, RecursionError):
        return TEXT
    return ""


def _joined(bodies: Sequence[bytes]) -> tuple[bytes, list[str] | None]:
    """A JSON array of the bodies, and the content type of each where not all are JSON."""
    data = b"[%b]" % b",".join(bodies)
    try:
        data.decode()
        # Of bodies that are no JSON, the array may be: `[1` and `2]`.
        if [bytes(raw) for raw in _decode_raws(data)] == bodies:
            return data, None
    except UNDECODABLE:
        pass
    types = [_type_of(body) for body in bodies]
    return b"[%b]" % b",".join(map(_inside, bodies, types)), types


def _inside(body: bytes, content_type: str) -> bytes:
    """A body as part of JSON: itself, a text, or base64."""
    if not content_type:
        return body
    return encode_json(body.decode() if content_type == TEXT else b64encode(body).decode())


def _sent(raw: bytes, content_type: str) -> bytes:
    """The reverse of `_inside`."""
    if not content_type:
        return raw
    return msgspec.json.decode(raw, type=str).encode() if content_type == TEXT else msgspec.json.decode(raw, type=bytes)


def _windowed(origin: Origin, data: bytes, state: bytes) -> bytes:
    """The data of an event with a tumbling window, as Lambda's function gets it."""
    span = origin.span
    assert span is not None
    return encode_json(
        {
            "Records": msgspec.Raw(data),
            "window": {"start": moment(span.start), "end": moment(span.end)},
            "state": msgspec.Raw(state),
            "shardId": f"shardId-{origin.partition:012d}",
            "eventSourceARN": origin.source,
            "isFinalInvokeForWindow": span.is_final,
            "isWindowTerminatedEarly": span.is_terminated_early,
        }
    )


def moment(seconds: float) -> dt.datetime:
    """Seconds since the epoch as a moment in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def made_up(event: Event) -> Origin:
    """The origin of an event that came without: from a caller who gave an array, or one record."""
    accepted = event.time.timestamp()
    try:
        count = len(_decode_raws(event.data))
    except msgspec.DecodeError:
        return Origin(event.source, (Item(event.id, 1, accepted),), single=True)
    return Origin(event.source, tuple(Item(f"{event.id}:{number}", 1, accepted) for number in range(count)))


def state_of(event: Event) -> bytes:
    """The state that came with a tumbling window, as JSON."""
    return bytes(_decode_windowed(event.data).state)
