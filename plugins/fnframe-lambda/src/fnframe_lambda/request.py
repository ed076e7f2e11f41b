"""A request of Lambda's API: its path, query, headers and body."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from fnframe.event import UNDECODABLE

from .wire import ApiError, not_here, operation_too_large

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

MOST_DISCARDED = 64 * 1024 * 1024
"""Bytes of a body that is too large which are read all the same: a client that is still sending hears no answer."""
LONGEST_HEADERS = 1024 * 1024
"""Bytes of request line and headers together, as Lambda bounds them."""


Members = TypeVar("Members")
_UNKNOWN = re.compile("Object contains unknown field `(.*?)`")


class Disconnected(Exception):
    """The client went away before its request was complete."""


class Request:
    """`path` is as it was sent, percent-escapes and all, below the prefix under which the application is mounted; `id`
    is the request's, which the handler sees too."""

    def __init__(self, scope: Scope, receive: Receive, request_id: str) -> None:
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.query_string: bytes = scope["query_string"]
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        prefix = scope.get("root_path", "").encode()
        self.whole_path = path
        self.path = path[len(prefix) :] if prefix and path.startswith(prefix) else path
        self.id = request_id
        self._scope = scope
        self._receive = receive
        self._whole: bytes | None = None
        if sum(len(name) + len(value) for name, value in self.raw_headers) + len(path) > LONGEST_HEADERS:
            raise ApiError(431, "RequestHeaderFieldsTooLargeException", "the request's headers exceed 1 MB")

    def header(self, name: bytes) -> str:
        """A header field's value; empty where it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return str(self._scope.get("scheme", "http"))

    @property
    def client(self) -> str:
        """The client's address, where the server knows it."""
        return str((self._scope.get("client") or ("",))[0])

    @property
    def base(self) -> str:
        """The URL of this server, as the client called it."""
        return f"{self.scheme}://{self.header(b'host') or 'localhost'}{self._scope.get('root_path', '')}"

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the query, those of one name too, decoded."""
        return parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)

    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(self.pairs())

    async def body(self, limit: int) -> bytes | None:
        """The whole body; None where it is larger than `limit`."""
        if self._whole is None:
            self._whole = await self._received(limit)
        return self._whole if self._whole is None or len(self._whole) <= limit else None

    async def _received(self, limit: int) -> bytes | None:
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
            if not message.get("more_body") or size > max(limit, MOST_DISCARDED):
                return b"".join(parts) if size <= limit else None
            message = await self._receive()

    async def members(self, limit: int, type_: type[Members], operation: str) -> Members:
        """The body of a control request, decoded to its type. Raises `ApiError`."""
        body = await self.body(limit)
        if body is None:
            raise operation_too_large(limit, operation)
        try:
            return msgspec.json.decode(body or b"{}", type=type_)
        except msgspec.ValidationError as error:
            unknown = _UNKNOWN.match(str(error))
            if unknown is not None:
                raise not_here(unknown[1]) from None
            raise ApiError(400, "SerializationException", str(error)) from None
        except UNDECODABLE as error:
            text = f"Could not parse request body into json: {error}"
            raise ApiError(400, "InvalidRequestContentException", text) from None


def unquoted(part: str) -> str:
    """A part of a path, decoded."""
    return unquote(part)
