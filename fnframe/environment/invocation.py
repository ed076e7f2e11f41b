"""One attempt to run a function on an event: what was asked, how far it is, and what came back."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from ..event import Event
from ..function import Function
from ..outcome import InvocationType
from ..provider import FirstTry
from .readiness import park
from .wire import Ack, Exited, Raised, Result, Send

if TYPE_CHECKING:
    from .process import ProcessEnvironment


INIT_TIMEOUT = 10.0
"""Seconds for an environment to be bound and to run its start functions: Lambda's limit of the init phase."""


class Ended(msgspec.Struct, frozen=True):
    """The environment ended while it ran the invocation: why, how, and what it had used."""

    reason: str
    exit: Exited | None
    peak_kb: int | None
    cpu_us: int | None
    init_timeout: float = INIT_TIMEOUT


class Rejected(msgspec.Struct, frozen=True):
    """No environment could take the invocation."""

    problem: str


Reply = Result | Raised | Ended | Rejected


NOTHING = memoryview(b"")


class Invocation(msgspec.Struct, eq=False):
    """Times are on `time.monotonic()`'s scale; `accepted` is the moment it was asked for.

    What it is on its way (`environment` and after) is set by where it runs.
    """

    function: Function
    event: Event
    request_id: str
    trigger: str = "direct"
    invocation_type: InvocationType = "synchronous"
    attempt: int = 1
    accepted: float = msgspec.field(default_factory=time.monotonic)
    environment: ProcessEnvironment | None = None
    started: float = 0.0
    finished: float = 0.0
    init: float | None = None
    reply: Reply | None = None
    tenant: str | None = None
    requests: list[Send] = []
    unsent: memoryview = NOTHING
    withdrawn: bool = False
    again: FirstTry | None = None
    """How an environment failed to begin for it, if one did: the next one's beginning is part of it then."""
    sampled: bool = False
    """Whether child processes had a part in its peak memory, which is seen now and then and not measured."""
    parked: Callable[[], object] | None = None
    """What wakes whoever awaits it."""

    def wake(self) -> None:
        """Wake whoever awaits this invocation: its reply, a request, or unsent bytes are there."""
        parked, self.parked = self.parked, None
        if parked is not None:
            parked()

    def then(self, callback: Callable[[], object]) -> None:
        """Call back when the reply is there, since nobody awaits it any more."""
        if self.reply is not None:
            callback()
        else:
            self.parked = callback

    def news(self) -> Awaitable[object]:
        """What to await for the next `wake`."""
        wait, self.parked = park()
        return wait


Deliver = Callable[[Invocation, Send], Awaitable[Ack]]
"""Hands over what a handler enqueues in an invocation; what to answer it."""
