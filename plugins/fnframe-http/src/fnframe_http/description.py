"""What crosses from the server to the function and back, beside the body: MessagePack arrays."""

from __future__ import annotations

import msgspec

RESPONSE = "application/vnd.fnframe.http-response+msgpack"
"""The content type of an encoded `Response`."""

Pairs = list[tuple[bytes, bytes]]


class Description(msgspec.Struct, frozen=True, array_like=True):
    """A request without its body, as the server has it: an event's `origin`.

    `parameters` are the path's, with their kinds; they are converted in the environment, where an error is the
    request's and not the server's. `no_body` tells an empty body, whose event's data is `null`.
    """

    method: str
    path: str
    prefix: str
    scheme: str
    query: bytes
    headers: Pairs
    client: str
    parameters: list[tuple[str, str, str]]
    no_body: bool


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """A response as the environment sends it."""

    status: int
    headers: Pairs
    body: bytes


encode = msgspec.msgpack.Encoder().encode
decode_description = msgspec.msgpack.Decoder(Description).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
