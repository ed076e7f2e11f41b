"""The response, where a function says more than a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fnframe.schema import encode_result

from .description import RESPONSE, Answer, encode

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

OF_THE_SERVER = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"x-request-id"}
)
"""Fields that frame a response, which a function cannot know, and the name by which reports know it."""


class Response:
    """A response with a status, headers or a content type of its own.

    `content`: text becomes `text/plain`, bytes `application/octet-stream`, None an empty body, and anything else
    JSON; `content_type` names another. `headers` is a mapping or, for fields that come several times (`set-cookie`),
    pairs. Raises `ValueError` or `TypeError` for what HTTP does not allow, line breaks in headers above all.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        content: Any = None,
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        content_type: str | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"a status must lie between 200 and 599, found {status!r}")
        own_type, self.body = _encoded(content)
        self.status = int(status)
        self.headers = [_field(*pair) for pair in (headers.items() if isinstance(headers, Mapping) else headers)]
        if content_type is not None or not any(name == b"content-type" for name, _ in self.headers):
            chosen = content_type or own_type
            if chosen:
                kept = [pair for pair in self.headers if pair[0] != b"content-type"]
                self.headers = [_field("content-type", chosen), *kept]

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body):,} bytes>"

    def to_payload(self) -> tuple[str, bytes]:
        """fnframe's protocol for return values that encode themselves."""
        return RESPONSE, encode(Answer(self.status, self.headers, self.body))


def is_allowed(name: bytes, value: bytes) -> bool:
    """Whether this is a field that a function may set, in the characters of RFC 9110, section 5.5."""
    return bool(_TOKEN.fullmatch(name)) and not _NOT_IN_VALUE.search(value) and name.lower() not in OF_THE_SERVER


def _encoded(content: Any) -> tuple[str, bytes]:
    if content is None:
        return "", b""
    if isinstance(content, str):
        return "text/plain; charset=utf-8", content.encode()
    return encode_result(content)


def _field(name: object, value: object) -> tuple[bytes, bytes]:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"names and values of headers must be text, found {name!r}: {value!r}")
    try:
        field = name.lower().encode("ascii"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(
            f"header {name!r}: outside of ASCII, values need an encoding, such as percent-encoding"
        ) from None
    if not is_allowed(*field):
        if field[0] in OF_THE_SERVER:
            raise ValueError(f"header {name!r} is the server's to set")
        raise ValueError(f"header {name!r} holds characters that HTTP does not allow, such as line breaks")
    return field
