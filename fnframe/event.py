"""The event: an immutable fact from outside, with the context attributes of CloudEvents 1.0."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from typing import Any

import msgspec

JSON = "application/json"

encode_json = msgspec.json.Encoder().encode
decode_json = msgspec.json.Decoder().decode

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for what is no JSON: bytes that are no UTF-8, and what is nested a thousand deep, too."""


class Event(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """An event, as a handler that asks for `Event` sees it and as queues keep it.

    The attributes are those of CloudEvents 1.0 (https://github.com/cloudevents/spec;
    `fnframe.cloudevents` reads and writes its forms). `data` is the encoded
    payload; `value()` decodes JSON. `origin` is what the trigger knows beyond the payload (an HTTP request's
    headers, say), encoded by the trigger and read by its own types. `depth` counts the functions that this
    event's chain has passed through.
    """

    id: str
    source: str
    type: str
    time: dt.datetime
    data: bytes = b"null"
    datacontenttype: str = JSON
    subject: str | None = None
    dataschema: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    extensions: dict[str, str | int | bool] = {}
    origin: bytes = b""
    depth: int = 0

    def value(self) -> Any:
        """`data` as plain Python values. Raises `msgspec.DecodeError` when it is not JSON."""
        return decode_json(self.data)


def now() -> dt.datetime:
    """This moment, in UTC: for an event's `time`."""
    return dt.datetime.now(dt.UTC)


# A random prefix for each process and a counter are unique like a UUID 4 and cost a tenth of it. Version 8
# (RFC 9562) is the one whose layout is the maker's own.
_prefix = ""
_count = itertools.count()


def _begin_ids() -> None:
    global _prefix, _count
    _prefix = f"{os.urandom(4).hex()}-{os.urandom(2).hex()}-8{os.urandom(2).hex()[1:]}-b{os.urandom(2).hex()[1:]}-"
    _count = itertools.count(2**44 + int.from_bytes(os.urandom(5)))  # Twelve digits, for longer than anybody counts.


_begin_ids()
# A fork goes on with its parent's ids otherwise: servers load an application before they fork their workers.
os.register_at_fork(after_in_child=_begin_ids)


def new_id() -> str:
    """A new UUID as text, for requests and events that come without an id of their own."""
    return f"{_prefix}{next(_count):x}"
