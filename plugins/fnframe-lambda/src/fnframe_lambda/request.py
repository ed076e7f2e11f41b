"""A request of Lambda's API: its path, query, headers and body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from .wire import ApiError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

MOST_DISCARDED = 64 * 1024 * 1024
"""Bytes of a body that is too large which are read all the same: a client that is still sending hears no answer."""
LONGEST_HEADERS = 1024 * 1024
"""Bytes of request line and headers together, as Lambda bounds them."""


class Disconnected(Exception):
    """The client went away before its request was complete."""


class Request:
    """`path` is as it was sent, percent-escapes and all, below the prefix under which the application is mounted."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.query_string: bytes = scope["query_string"]
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        prefix = scope.get("root_path", "").encode()
        self.whole_path = path
        self.path = path[len(prefix) :] if prefix and path.startswith(prefix) else path
        self._receive = receive
        if sum(len(name) + len(value) for name, value in self.raw_headers) + len(path) > LONGEST_HEADERS:
            raise ApiError(431, "RequestHeaderFieldsTooLargeException", "the request's headers exceed 1 MB")

    def header(self, name: bytes) -> str:
        """A header field's value; empty where it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True))

    async def body(self, limit: int) -> bytes | None:
        """The whole body; None where it is larger than `limit`."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            whole: bytes = message.get("body", b"")
            return whole if len(whole) <= limit else None
        parts, size = [], 0
        while True:
            if message["type"] == "http.disconnect":
                raise Disconnected
            part = message.get("body", b"")
            size += len(part)
            if size <= limit:
                parts.append(part)
            else:
                parts.clear()
            if not message.get("more_body") or size > MOST_DISCARDED:
                return b"".join(parts) if size <= limit else None
            message = await self._receive()

    async def members(self, limit: int, type_: Any) -> Any:
        """The body of a control request, decoded to its type. Raises `ApiError`."""
        body = await self.body(limit)
        if body is None:
            raise ApiError(413, "RequestEntityTooLargeException", f"Request must be smaller than {limit} bytes")
        try:
            return msgspec.json.decode(body or b"{}", type=type_)
        except msgspec.ValidationError as error:
            raise ApiError(400, "SerializationException", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = f"Could not parse request body into json: {error}"
            raise ApiError(400, "InvalidRequestContentException", text) from None


def unquoted(part: str) -> str:
    """A part of a path, decoded."""
    return unquote(part)
