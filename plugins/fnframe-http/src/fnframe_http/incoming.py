"""From an ASGI request to an event."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from fnframe import ConfigurationError, Event, cloudevents
from fnframe.event import JSON, new_id, now

from .description import Description, encode
from .problem import Problem

if TYPE_CHECKING:
    from starlette.types import Scope

    from .router import Endpoint, Parameters

MAX_DESCRIPTION = 64 * 1024
"""Bytes of a request's line and headers, encoded: ASGI servers accept any size."""

_IDS = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT = re.compile(rb"00" + _IDS + rb"|(?!00|ff)[0-9a-f]{2}" + _IDS + rb"(?:-.*)?")
_STRUCTURED = b"application/cloudevents+json"
_CLOUDEVENTS = b"application/cloudevents"

Fields = dict[bytes, bytes]


def path_of(scope: Scope) -> tuple[str, str]:
    """The prefix under which the application is mounted, and the path below it.

    Servers and routers of today leave the prefix in the path; those of before ASGI's clarification took it off.
    """
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("/", ""):
        path = path[len(prefix) :]
    return prefix, path or "/"


def event_of(
    scope: Scope, fields: Fields, prefix: str, path: str, endpoint: Endpoint, parameters: Parameters, body: bytes
) -> Event:
    """The event of a request: a CloudEvent where the client sent one. Raises `Problem` (400, 415, 431)."""
    content_type = fields.get(b"content-type")
    is_cloudevent = b"ce-specversion" in fields or (
        content_type is not None and content_type.lower().startswith(_CLOUDEVENTS)
    )
    # A function that takes plain data has None for no body, and not an error.
    no_body = not body and content_type is None
    client = scope.get("client")
    origin = encode(
        Description(
            scope["method"],
            path,
            prefix,
            scope.get("scheme", "http"),
            scope["query_string"],
            scope["headers"],
            client[0] if client else "",
            parameters,
            no_body,
        )
    )
    if len(origin) > MAX_DESCRIPTION:
        raise Problem(431, "RequestHeaderFieldsTooLarge", f"path, query and headers exceed {MAX_DESCRIPTION:,} bytes")
    traceparent, tracestate = _trace(fields)
    if is_cloudevent:
        return _cloudevent(fields, content_type, body, origin, traceparent, tracestate)
    return Event(
        id=new_id(),
        source=endpoint.source,
        type="fnframe.http.request",
        time=now(),
        data=b"null" if no_body else body,
        datacontenttype=JSON if content_type is None else content_type.decode("latin-1"),
        subject=f"{scope['method']} {path}",
        traceparent=traceparent,
        tracestate=tracestate,
        origin=origin,
    )


def _trace(fields: Fields) -> tuple[str | None, str | None]:
    """The trace context that came along; a malformed one is none (https://www.w3.org/TR/trace-context/)."""
    traceparent = fields.get(b"traceparent")
    if traceparent is None or not _TRACEPARENT.fullmatch(traceparent):
        return None, None
    tracestate = fields.get(b"tracestate")
    return traceparent.decode("latin-1"), tracestate.decode("latin-1") if tracestate else None


def _cloudevent(
    fields: Fields,
    content_type: bytes | None,
    body: bytes,
    origin: bytes,
    traceparent: str | None,
    tracestate: str | None,
) -> Event:
    """The binary or the structured mode of https://github.com/cloudevents/spec, HTTP protocol binding."""
    try:
        if content_type is None or not content_type.lower().startswith(_CLOUDEVENTS):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields.items()}
            event = cloudevents.from_binary(headers, body)
        elif content_type.lower().partition(b";")[0].strip() == _STRUCTURED:
            event = cloudevents.from_structured(body)
        else:
            known = f"{_STRUCTURED.decode()} or the binary mode"
            raise Problem(415, "UnsupportedMediaType", f"CloudEvents are taken as {known}, not in batches")
    except ConfigurationError as error:
        raise Problem(400, "InvalidCloudEvent", str(error)) from None
    if event.traceparent is None:
        event = msgspec.structs.replace(event, traceparent=traceparent, tracestate=tracestate)
    return msgspec.structs.replace(event, origin=origin)
