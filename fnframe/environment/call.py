"""One invocation on its way through an environment, and what comes back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from .readiness import park
from .wire import Exited, Invoke, Raised, Result, Send

if TYPE_CHECKING:
    from .process import ProcessEnvironment


class Ended(msgspec.Struct, frozen=True):
    """The environment ended while it ran the invocation: why, how, and what it had used."""

    reason: str
    exit: Exited | None
    peak_kb: int | None
    cpu_us: int | None


class Rejected(msgspec.Struct, frozen=True):
    """No environment could take the invocation."""

    problem: str


Reply = Result | Raised | Ended | Rejected


class Call:
    """What the host keeps of an invocation while it waits and runs. Times are on `time.monotonic()`'s scale."""

    __slots__ = (
        "_parked",
        "environment",
        "finished",
        "function",
        "init",
        "invoke",
        "placed",
        "reply",
        "request_id",
        "requests",
        "started",
        "timeout",
        "unsent",
        "withdrawn",
    )

    def __init__(self, function: str, invoke: Invoke) -> None:
        self.function = function
        self.request_id = invoke.request_id
        self.timeout = invoke.timeout
        self.invoke = invoke
        self.placed = time.monotonic()
        self.started = 0.0
        self.finished = 0.0
        self.init: float | None = None
        self.environment: ProcessEnvironment | None = None
        self.reply: Reply | None = None
        self.requests: deque[Send] = deque()
        self.unsent: Any = None
        self.withdrawn = False
        self._parked: Callable[[], object] | None = None

    def wake(self) -> None:
        """Wake whoever awaits this call: its reply, a request, or unsent bytes are there."""
        parked, self._parked = self._parked, None
        if parked is not None:
            parked()

    def then(self, callback: Callable[[], object]) -> None:
        """Call back when the reply to this withdrawn call is there; nobody awaits it any more."""
        if self.reply is not None:
            callback()
        else:
            self._parked = callback

    def news(self) -> Awaitable[object]:
        """What to await for the next `wake`."""
        wait, self._parked = park()
        return wait
