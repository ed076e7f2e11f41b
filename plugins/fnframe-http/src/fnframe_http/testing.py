"""For tests: the event of a request, as the server makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.routing import compile_path

from fnframe import Event
from fnframe.event import JSON, encode_json, new_id, now

from .description import Description, encode
from .route import parse_route


def request_event(
    request: str,
    json: Any = None,
    *,
    route: str | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    app: str = "test",
) -> Event:
    """The event of `request_event("POST /orders?express=1", {"name": "cat"})`.

    `request` is a method and a path with its query; `route` is the one of the function's trigger where that has
    parameters, `"GET /photos/{name}"`. The body is `json`, encoded, unless `body` gives its bytes, whose media type is
    a header then. Raises `ValueError` where the path does not fit the route.
    """
    method, _, target = request.partition(" ")
    raw_path, _, query = target.partition("?")
    path = unquote(raw_path)
    content = encode_json(json) if body is None and json is not None else body or b""
    fields = {name.lower(): value for name, value in (headers or {}).items()}
    if json is not None and body is None:
        fields.setdefault("content-type", JSON)
    no_body = not content and "content-type" not in fields
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    parameters = _parameters(route, path) if route is not None else []
    description = Description(
        method, path, "", "http", query.encode("latin-1"), pairs, "127.0.0.1", parameters, no_body
    )
    return Event(
        id=new_id(),
        source=f"http:{app}",
        type="fnframe.http.request",
        time=now(),
        data=b"null" if no_body else content,
        datacontenttype=fields.get("content-type", JSON),
        subject=f"{method} {path}",
        origin=encode(description),
    )


def _parameters(route: str, path: str) -> list[tuple[str, str, str]]:
    parsed = parse_route(route)
    found = compile_path(parsed.path)[0].fullmatch(path)
    if found is None:
        raise ValueError(f"the path {path!r} does not fit the route {route!r}")
    return [(name, kind, found[name]) for name, kind in parsed.kinds.items()]
