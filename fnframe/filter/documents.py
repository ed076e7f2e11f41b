"""What a filter sees of an event: a document of decoded JSON."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import UNSET

from ..cloudevents import is_json
from ..event import JSON, UNDECODABLE, Event, decode_json
from .patterns import Pattern, compile_patterns

_ATTRIBUTES = frozenset(
    {"id", "source", "type", "subject", "datacontenttype", "dataschema", "traceparent", "tracestate"}
)


def event_document(event: Event, names: Collection[str]) -> dict[str, Any]:
    """The members `names` of an event as a JSON object: the attributes of CloudEvents, extensions too, and `data`.

    What the event does not have is absent. `data` is decoded if the event says that it is JSON; otherwise, and if it is
    none, it is its text, and absent if it is no text.
    """
    document: dict[str, Any] = {}
    for name in names:
        if name == "data":
            is_encoded = event.datacontenttype == JSON or is_json(event.datacontenttype)
            value = payload_value(event.data) if is_encoded else _text(event.data)
            if value is not UNSET:
                document[name] = value
        elif name == "time":
            document[name] = event.time.isoformat().replace("+00:00", "Z")
        else:
            value = getattr(event, name) if name in _ATTRIBUTES else event.extensions.get(name)
            if value is not None:
                document[name] = value
    return document


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
    except UNDECODABLE:
        return _text(payload)


def _text(payload: bytes) -> Any:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return UNSET
