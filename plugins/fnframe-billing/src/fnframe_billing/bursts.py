"""Bursts: invocations that came faster than rows are written wait in the ledger, all of one step encoded as one value,
until there is time to make rows of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import astuple

from fnframe import Report

BURST = 128
"""Reports of one step that are a burst: with steps 25 ms apart, those of 5,000 invocations per second."""
MOST_WAITING = 200_000
"""Reports that may wait, so that who asks for a bill makes rows of them within a second; what comes beyond them becomes
rows at once."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[list[Any]]).decode


def encode(reports: Iterable[Report]) -> bytes:
    """Reports as one value: what each has in its fields, in their order. Raises what msgspec raises of one that is no
    report."""
    return _encode(list(map(astuple, reports)))


def decode(body: bytes) -> list[Report]:
    """The reports again, also of a release whose reports had more fields at their end, or fewer of those that have a
    default. Raises `msgspec.DecodeError` and `TypeError` of what is none."""
    # Nothing is checked here: one that is odd must not take the others along.
    known = len(Report.__struct_fields__)
    return [Report(*values[:known]) for values in _decode(body)]
