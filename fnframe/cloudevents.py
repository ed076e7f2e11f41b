"""Events in the two forms of CloudEvents 1.0: structured (one JSON object) and binary (headers and a body)."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import msgspec

from .errors import ConfigurationError
from .event import JSON, UNDECODABLE, Event, decode_json, encode_json, now

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONAL = ("subject", "dataschema", "traceparent", "tracestate")
_KNOWN = {"specversion", "id", "source", "type", "time", "datacontenttype", *_OPTIONAL}
# The HTTP binding percent-encodes what is not printable ASCII, the space, `"` and `%`.
_HEADER_SAFE = "!#$&'()*+,/:;=?@[]<>\\^`{|}~"


def to_structured(event: Event) -> bytes:
    """One JSON object of the content type `application/cloudevents+json`."""
    attributes: dict[str, Any] = {"specversion": "1.0", **_attributes(event)}
    if is_json(event.datacontenttype) and _is_valid(event.data):
        attributes["data"] = msgspec.Raw(event.data)
    else:
        attributes["data_base64"] = base64.b64encode(event.data).decode()
    return encode_json(attributes)


def from_structured(body: bytes) -> Event:
    """The event of a structured body. Raises `ConfigurationError` that names the attribute that is wrong."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        encoded = members.pop("data_base64", None)
        data = bytes(members.pop("data", b"null"))
        attributes = {name: decode_json(raw) for name, raw in members.items()}
    except UNDECODABLE as error:
        raise ConfigurationError(f"not a CloudEvent in structured mode: {error}") from None
    content_type = attributes.get("datacontenttype")
    try:
        if encoded is not None:
            data = msgspec.json.decode(encoded, type=bytes)
        elif isinstance(content_type, str) and not is_json(content_type) and data[:1] == b'"':
            data = msgspec.json.decode(data, type=str).encode()  # Text that travelled as a JSON string.
    except UNDECODABLE as error:
        name = "data" if encoded is None else "data_base64"
        raise ConfigurationError(f"not a CloudEvent in structured mode: {error} - at `{name}`") from None
    return _event({name: value for name, value in attributes.items() if value is not None}, data)


def to_binary(event: Event) -> tuple[dict[str, str], bytes]:
    """Headers (`content-type`, `ce-id`, ...) and the body."""
    attributes = _attributes(event)
    headers = {"content-type": attributes.pop("datacontenttype"), "ce-specversion": "1.0"}
    headers.update({f"ce-{name}": quote(_text(value), safe=_HEADER_SAFE) for name, value in attributes.items()})
    return headers, event.data


def from_binary(headers: Mapping[str, str], body: bytes) -> Event:
    """The event of headers and a body. Raises `ConfigurationError` that names the attribute that is wrong."""
    lower = {name.lower(): text for name, text in headers.items()}
    attributes: dict[str, Any] = {name[3:]: unquote(text) for name, text in lower.items() if name.startswith("ce-")}
    attributes["datacontenttype"] = lower.get("content-type", JSON)
    return _event(attributes, body)


def _attributes(event: Event) -> dict[str, Any]:
    required = {"id": event.id, "source": event.source, "type": event.type, "time": event.time}
    optional = {name: getattr(event, name) for name in _OPTIONAL if getattr(event, name) is not None}
    return {**event.extensions, **required, "datacontenttype": event.datacontenttype, **optional}


def _event(attributes: dict[str, Any], data: bytes) -> Event:
    if attributes.get("specversion") != "1.0":
        found = attributes.get("specversion", "none")
        raise ConfigurationError(f"expected a CloudEvent of specversion 1.0, found {found}")
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise ConfigurationError(f"a CloudEvent needs the attribute {name!r}; it is missing or empty")
    for name in set(attributes) - _KNOWN:
        if not isinstance(attributes[name], (str, int)):
            kind = type(attributes[name]).__name__
            raise ConfigurationError(
                f"not a CloudEvent: expected a text, integer or boolean, found {kind} - at `{name}`"
            )
    extensions = {name: attributes.pop(name) for name in set(attributes) - _KNOWN}
    del attributes["specversion"]
    attributes.setdefault("time", now())
    try:
        event = msgspec.convert(
            [{**attributes, "data": data, "extensions": extensions}.get(name, default) for name, default in _DEFAULTS],
            Event,
        )
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"not a CloudEvent: {_named(str(error))}") from None
    if event.time.tzinfo is None:
        raise ConfigurationError("not a CloudEvent: expected a time with its zone, as in RFC 3339 - at `time`")
    return event


_DEFAULTS = [
    (field.name, field.default_factory() if field.default is msgspec.NODEFAULT and field.default_factory is not
     msgspec.NODEFAULT else (None if field.default is msgspec.NODEFAULT else field.default))
    for field in msgspec.structs.fields(Event)
]  # fmt: skip


def _named(error: str) -> str:
    """msgspec names the place in the array form, `$[3]`: give the attribute's name instead."""
    for position, (name, _) in enumerate(_DEFAULTS):
        error = error.replace(f"`$[{position}]", f"`{name}")
    return error


def is_json(content_type: str) -> bool:
    """Whether a content type says that the data is JSON."""
    essence = content_type.partition(";")[0].strip().lower()
    return essence == JSON or essence.endswith("+json")


def _is_valid(data: bytes) -> bool:
    try:
        decode_json(data)
    except UNDECODABLE:
        return False
    return True


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value).lower() if isinstance(value, bool) else str(value)
