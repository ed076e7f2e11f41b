"""What a call of the Invoke API brings beside its payload: how it travels in an event."""

from __future__ import annotations

import msgspec

EVENT_TYPE = "fnframe.lambda.invoke"


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """`function_arn` is the function as its caller named it; `client_context` is JSON."""

    function_arn: str
    client_context: str = ""
    tenant_id: str | None = None


encode_origin = msgspec.msgpack.Encoder().encode
decode_origin = msgspec.msgpack.Decoder(Origin).decode
