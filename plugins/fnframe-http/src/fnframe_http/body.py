"""Reading a request's body, within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .problem import too_large

if TYPE_CHECKING:
    from starlette.types import Receive


class Disconnected(Exception):
    """The client went away: nobody is there to answer."""


async def read_body(receive: Receive, content_length: bytes | None, limit: int) -> bytes:
    """The whole body. Raises `Problem` (413) as soon as it is known to be over the limit, before anything is read
    where the client told the length; `Disconnected` when the client went away."""
    if content_length is not None and content_length.isdigit() and int(content_length) > limit:
        raise too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
