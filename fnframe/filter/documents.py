"""What a filter sees of an event: a document of decoded JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from ..cloudevents import is_json
from ..event import Event, decode_json
from .patterns import Pattern, compile_patterns

_ATTRIBUTES = frozenset(
    {"id", "source", "type", "subject", "datacontenttype", "dataschema", "traceparent", "tracestate"}
)


def event_document(event: Event, names: Collection[str]) -> dict[str, Any]:
    """The members `names` of an event as a JSON object: the attributes of CloudEvents, extensions too, and `data`.

    What the event does not have is absent. `data` is decoded if the event says that it is JSON; otherwise, and if it is
    none, it is its text, and absent if it is no text.
    """
    found = ((name, _member(event, name)) for name in names)
    return {name: value for name, value in found if value is not msgspec.UNSET}


def compile_event_filter(
    patterns: Pattern | Sequence[Pattern], document: Callable[[Event, Collection[str]], dict[str, Any]] = event_document
) -> Callable[[Event], bool]:
    """What tells whether an event fits one of the patterns; `document` makes what they see of it.

    Raises `InvalidPattern`.
    """
    compiled = compile_patterns(patterns, payload="data")
    return lambda event: compiled(document(event, compiled.reads))


def payload_value(payload: bytes) -> Any:
    """A payload decoded from JSON; its text if it is none, and UNSET if it is no text either."""
    try:
        return decode_json(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _text(payload)


def _member(event: Event, name: str) -> Any:
    if name == "data":
        return payload_value(event.data) if is_json(event.datacontenttype) else _text(event.data)
    if name == "time":
        return event.time.isoformat().replace("+00:00", "Z")
    value = getattr(event, name) if name in _ATTRIBUTES else event.extensions.get(name)
    return msgspec.UNSET if value is None else value


def _text(payload: bytes) -> Any:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return msgspec.UNSET
