"""The frames of a streamed response: `application/vnd.amazon.eventstream`."""

from __future__ import annotations

import struct
import zlib

CONTENT_TYPE = b"application/vnd.amazon.eventstream"
_STRING = 7


def frame(event_type: str, content_type: str, payload: bytes) -> bytes:
    """One event: a prelude with lengths and its checksum, headers, the payload, and a checksum of all."""
    headers = b"".join(
        _header(name, value)
        for name, value in ((":message-type", "event"), (":event-type", event_type), (":content-type", content_type))
    )
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    encoded_name, encoded = name.encode(), value.encode()
    head = struct.pack("B", len(encoded_name)) + encoded_name + struct.pack("B", _STRING)
    return head + struct.pack(">H", len(encoded)) + encoded
