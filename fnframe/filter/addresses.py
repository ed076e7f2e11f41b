"""Tests of addresses of the Internet Protocol, versions 4 and 6."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

from .reasons import Invalid

_V4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_V6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")


def within(block: Any) -> Callable[[Any], bool]:
    """Whether a text is an address in the block, such as `10.0.0.0/24` or `2001:db8::/32`. Raises `Invalid`."""
    if not isinstance(block, str):
        raise Invalid("prefix match pattern must be a string")  # It says prefix.
    address, slash, bits = block.rstrip("/").partition("/")
    if not slash or "/" in bits:
        raise Invalid("Malformed CIDR, one '/' required")
    if not _WHOLE.fullmatch(bits):
        raise Invalid("Malformed CIDR, mask bits must be an integer")
    fixed = int(bits)
    if fixed < 0:
        raise Invalid("Malformed CIDR, mask bits must not be negative")
    if not _V4.fullmatch(address) and not _V6.fullmatch(address):
        raise Invalid(f"Nonstandard IP address: {address}")
    packed = packed_address(address)
    if packed is None:
        raise Invalid(f"Invalid IP address: {address}")
    if fixed >= len(packed) * 8:
        raise Invalid(f"IPv{4 if len(packed) == 4 else 6} mask bits must be < {len(packed) * 8}")
    return _shares(packed, fixed)


def same_address(address: str) -> Callable[[Any], bool] | None:
    """Whether a text is the same address, however written; None if this is no address."""
    packed = packed_address(address)
    return None if packed is None else _shares(packed, len(packed) * 8)


def packed_address(text: str) -> bytes | None:
    """The 4 or 16 bytes of an address; None if the text is none."""
    if ":" in text and "." in text:
        return None  # A version 4 address inside one of version 6 is none to EventBridge.
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return None


def _shares(packed: bytes, fixed: int) -> Callable[[Any], bool]:
    """Whether a text is an address that has the first `fixed` bits in common with this one."""
    size, free = len(packed), len(packed) * 8 - fixed
    block = int.from_bytes(packed) >> free

    def test(value: Any) -> bool:
        if type(value) is not str:
            return False
        other = packed_address(value)
        return other is not None and len(other) == size and int.from_bytes(other) >> free == block

    return test
