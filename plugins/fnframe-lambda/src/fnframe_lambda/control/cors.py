"""What browsers ask of a function URL before, and hear with, the answer: Cross-Origin Resource Sharing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire import Answer, Headers

if TYPE_CHECKING:
    from ..request import Request
    from .records import Cors

ANY = "*"


def preflight(cors: Cors | None, request: Request) -> Answer | None:
    """The answer to a browser that asks what it may; None for any other request."""
    method = request.header(b"access-control-request-method")
    if cors is None or request.method != "OPTIONS" or not method:
        return None
    origin = _allowed(cors, request)
    methods = cors.allow_methods or []
    if origin is None or not {ANY, method} & set(methods):
        return Answer(200)
    fields = [
        *_common(cors, origin),
        (b"access-control-allow-methods", ",".join(methods).encode()),
        (b"access-control-allow-headers", ",".join(cors.allow_headers or []).encode()),
    ]
    if cors.max_age is not None:
        fields.append((b"access-control-max-age", str(cors.max_age).encode()))
    return Answer(200, headers=fields)


def headers(cors: Cors | None, request: Request) -> Headers:
    """What goes with an answer to a browser of another origin."""
    origin = None if cors is None else _allowed(cors, request)
    if cors is None or origin is None:
        return []
    fields = _common(cors, origin)
    if cors.expose_headers:
        fields.append((b"access-control-expose-headers", ",".join(cors.expose_headers).encode()))
    return fields


def _allowed(cors: Cors, request: Request) -> str | None:
    """The origin that may, as the answer names it."""
    origin = request.header(b"origin")
    allowed = cors.allow_origins or []
    if not origin or not {ANY, origin} & set(allowed):
        return None
    return ANY if ANY in allowed and not cors.allow_credentials else origin


def _common(cors: Cors, origin: str) -> Headers:
    fields = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
    if cors.allow_credentials:
        fields.append((b"access-control-allow-credentials", b"true"))
    return fields
