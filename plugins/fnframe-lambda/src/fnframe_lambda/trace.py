"""X-Ray's trace header and W3C's trace context: the same ids, written in two ways."""

from __future__ import annotations

import os
import re
import time

_HEADER = re.compile(
    r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;Parent=([0-9a-f]{16}))?(?:;Sampled=([01?]))?", re.IGNORECASE
)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{8})([0-9a-f]{24})-([0-9a-f]{16})-([0-9a-f]{2})")


def new_traceparent() -> str:
    """A trace that is not sampled, with X-Ray's time in front."""
    drawn = os.urandom(20).hex()
    return f"00-{int(time.time()):08x}{drawn[:24]}-{drawn[24:]}-00"


def traceparent_of(header: str) -> str | None:
    """The W3C form of an X-Ray header; None for what is none."""
    found = _HEADER.match(header)
    if found is None:
        return None
    moment, rest, parent, sampled = found.groups()
    return f"00-{moment}{rest}-{parent or os.urandom(8).hex()}-{'01' if sampled == '1' else '00'}".lower()


def header_of(traceparent: str | None) -> str | None:
    """The X-Ray form of a W3C trace context."""
    found = _TRACEPARENT.match(traceparent or "")
    if found is None:
        return None
    moment, rest, parent, flags = found.groups()
    return f"Root=1-{moment}-{rest};Parent={parent};Sampled={int(flags, 16) & 1}"
