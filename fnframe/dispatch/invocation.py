"""One attempt to run a function on an event."""

from __future__ import annotations

import time

import msgspec

from ..event import Event
from ..outcome import InvocationType


class Invocation(msgspec.Struct, kw_only=True):
    """`accepted` is the moment it was asked for, on `time.monotonic()`'s scale."""

    event: Event
    request_id: str
    trigger: str = "direct"
    invocation_type: InvocationType = "synchronous"
    attempt: int = 1
    accepted: float = msgspec.field(default_factory=time.monotonic)
