"""Where events wait: what an engine is."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import msgspec

if TYPE_CHECKING:
    from ..outcome import Report
    from ..trigger import State


class Message(msgspec.Struct, frozen=True):
    """What a queue keeps: an id that is accepted once, the body, when it was accepted (seconds since the epoch), and
    the number of the delivery's attempt, from 1."""

    id: str
    body: bytes
    accepted: float
    attempt: int = 1


class QueueStatistics(NamedTuple):
    waiting: int
    delayed: int
    leased: int

    @property
    def total(self) -> int:
        return self.waiting + self.delayed + self.leased


class Lease(Protocol):
    """A message, lent. Leaving its `async with` block without `ack` or `release` gives it back as it was."""

    message: Message

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def ack(self, report: Report | None = None) -> None:
        """The message is done; store the report in the same step."""

    async def release(self, delay: float, *, counted: bool) -> None:
        """Give it back, to come again after `delay` seconds; `counted` makes the next delivery another attempt."""

    async def extend(self, seconds: float) -> None:
        """Keep it for so many seconds from now."""


class Queue(Protocol):
    """Messages, delivered at least once, in the order of acceptance as far as delays and retries allow."""

    name: str

    async def send(self, id: str, body: bytes, *, delay: float = 0.0) -> bool:  # noqa: A002
        """Accept a message; False if its id was accepted before, within the window for duplicates.

        Raises `QueueFull`.
        """

    async def receive(self, most: int, seconds: float) -> Sequence[Lease]:
        """Wait for messages and lease up to `most` of them for `seconds`."""

    async def statistics(self) -> QueueStatistics:
        """How many messages wait, are delayed, are leased."""


class Engine(Protocol):
    """Queues and state of an app. Made for a URL; entered once, before anything else."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def queue(self, name: str) -> Queue:
        """The queue of this name; it comes into being with its first message."""

    def state(self, name: str) -> State:
        """The state of this name."""

    async def queues(self) -> list[str]:
        """Names of the queues that hold messages."""
