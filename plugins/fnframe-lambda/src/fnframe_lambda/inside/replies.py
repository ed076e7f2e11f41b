"""What the Runtime API answers a runtime, and what is read out of that which a runtime tells."""

from __future__ import annotations

from typing import Any

import msgspec

from fnframe.event import UNDECODABLE
from fnframe.provider import Problem

from .http1 import Request

Reply = tuple[bytes, bytes, bytes]
"""Status, body and header fields."""

JSON = b"Content-Type: application/json; charset=utf-8\r\n"
ACCEPTED: Reply = b"202 Accepted", b'{"status":"OK"}\n', JSON


def problem_of(request: Request) -> Problem:
    """The error that a runtime tells of, by its body or by trailers; the body goes to the caller as it is."""
    import base64

    body = request.body
    trailer = request.header(b"lambda-runtime-function-error-body")
    if trailer is not None:
        try:
            body = base64.b64decode(trailer)
        except ValueError:  # Of which nothing can be told but its type.
            body = b""
    told = (request.header(b"lambda-runtime-function-error-type") or b"").decode("latin-1")
    try:
        fields: Any = msgspec.json.decode(body)
    except UNDECODABLE:
        fields, body = None, b""
    if not isinstance(fields, dict):
        return Problem(told or "Runtime.Unknown", "", body=body)
    stack = fields.get("stackTrace")
    return Problem(
        str(fields.get("errorType") or told or "Runtime.Unknown"),
        str(fields.get("errorMessage") or ""),
        stack_trace=[str(frame) for frame in stack] if isinstance(stack, list) else (),
        body=body,
    )


def content_type_of(request: Request) -> str:
    kind = (request.header(b"content-type") or b"application/json").decode("latin-1")
    return "application/json" if kind.partition(";")[0].strip().lower() == "application/json" else kind


def beside(path: bytes) -> Reply:
    """What is beside the Runtime API: neither extensions nor telemetry are served."""
    if path == b"/ping":
        return b"200 OK", b"pong", b"Content-Type: text/plain\r\n"
    if b"/telemetry" in path or b"/logs" in path:
        return b"202 Accepted", error_body("Telemetry.NotSupported", "Telemetry API is not supported"), JSON
    return b"404 Not Found", error_body("NotFound", "extensions are not served"), JSON


def not_allowed(before: str, after: str) -> Reply:
    """The runtime does what it may not do now."""
    problem = f"State transition from {before} to {after} failed for runtime. Error: State transition is not allowed"
    return b"403 Forbidden", error_body("InvalidStateTransition", problem), JSON


def error_body(error_type: str, message: str) -> bytes:
    return msgspec.json.encode({"errorMessage": message, "errorType": error_type})
