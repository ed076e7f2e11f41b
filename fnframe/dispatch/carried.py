"""What travels with the data of a message or record: how deep its chain is, and its trace.

Nothing, mostly: then the body is the data itself, as any other program would write it. Else it begins with a byte with
which no JSON and no text begins.
"""

from __future__ import annotations

import msgspec

from ..event import UNDECODABLE

MARK = b"\xc1"


class Carried(msgspec.Struct, frozen=True, array_like=True):
    data: bytes
    depth: int = 0
    traceparent: str | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Carried).decode


def wrapped(carried: Carried) -> bytes:
    """The body of what carries this."""
    if not carried.depth and carried.traceparent is None and not carried.data.startswith(MARK):
        return carried.data
    return MARK + _encode(carried)


def unwrapped(body: bytes) -> Carried:
    """What a body carries."""
    if not body.startswith(MARK):
        return Carried(body)
    try:
        return _decode(memoryview(body)[1:])
    except UNDECODABLE:
        return Carried(body)
