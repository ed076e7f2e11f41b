"""What goes wrong in production, on demand: acknowledgements are lost, replies are late, queues are full."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from ..dispatch.acceptance import PREFIX
from ..errors import QueueFull
from ..hookspecs import Refusal, hookimpl

if TYPE_CHECKING:
    from ..clock import Clock
    from ..engine.protocol import Engine, Lease, Message, Queue
    from ..event import Event
    from ..function import Function
    from ..outcome import Report


class Hold:
    """What keeps senders waiting; `reached` is set when the first of them waits."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self._released = anyio.Event()

    def release(self) -> None:
        """Let all of them go on, and those that come later pass."""
        self._released.set()

    async def wait(self) -> None:
        """Return when it was released: who sends calls it."""
        self.reached.set()
        await self._released.wait()


class Faults:
    """The faults of one client. Each is met `times` times; one that is never met fails the test, since what it was to
    show was not shown."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed: dict[tuple[str, str], list[float]] = {}
        self._held: dict[str, Hold] = {}

    def drop_acknowledgement(self, source: str, *, times: int = 1) -> None:
        """The engine does not hear that the next event is done: as if the host had died after the handler returned.

        `source` is a function, for the events of its own queue, or `"queue:orders"`. The event comes again when its
        lease is over, and counts as lost once more.
        """
        self._arm("acknowledgement", _queue_of(source), times, 0.0)

    def refuse_send(self, source: str, *, times: int = 1) -> None:
        """The queue of a function, or `"queue:orders"`, is full: whoever sends gets `QueueFull`."""
        self._arm("send", _queue_of(source), times, 0.0)

    def hold_send(self, source: str) -> Hold:
        """Whoever sends to this queue waits, until what is returned is released."""
        return self._held.setdefault(_queue_of(source), Hold())

    def delay_reply(self, function: str, seconds: float, *, times: int = 1) -> None:
        """Whoever waits for the function's answer gets it so many seconds later, on the client's clock."""
        self._arm("reply", function, times, seconds)

    def refuse(self, function: str, *, retry_after: float | None = None, times: int = 1) -> None:
        """The next invocation does not begin: it is refused for good, or with `retry_after` (seconds) throttled."""
        self._arm("invocation", function, times, -1.0 if retry_after is None else retry_after)

    def unmet(self) -> list[str]:
        """What was asked for and never happened, as sentences."""
        return [
            f"the fault of {len(left)} {what}(s) of {name.removeprefix(PREFIX)!r} was never met"
            for (what, name), left in self._armed.items()
            if left
        ]

    def _arm(self, what: str, name: str, times: int, value: float) -> None:
        self._armed.setdefault((what, name), []).extend([value] * times)

    def _meet(self, what: str, name: str) -> float | None:
        left = self._armed.get((what, name))
        return left.pop(0) if left else None

    @hookimpl
    def fnframe_admit(self, function: Function, event: Event) -> Refusal | None:
        seconds = self._meet("invocation", function.name)
        if seconds is None:
            return None
        return Refusal("refused by the test", None if seconds < 0 else seconds)

    @hookimpl
    def fnframe_before_reply(self, report: Report) -> Awaitable[None] | None:
        seconds = self._meet("reply", report.function)
        return None if seconds is None else self._clock.wait(anyio.Event(), self._clock.monotonic() + seconds)


def _queue_of(source: str) -> str:
    return source.removeprefix("queue:") if source.startswith("queue:") else f"{PREFIX}{source}"


class FaultyEngine:
    """An engine that meets faults; in all else the one that it is made of."""

    def __init__(self, engine: Engine, faults: Faults) -> None:
        self._engine = engine
        self._faults = faults
        self._queues: dict[str, FaultyQueue] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.__aexit__(kind, error, trace)

    def queue(self, name: str) -> FaultyQueue:
        """The queue of this name, with its faults."""
        return self._queues.setdefault(name, FaultyQueue(self._engine.queue(name), self._faults))


class FaultyQueue:
    """A queue that meets faults."""

    def __init__(self, queue: Queue, faults: Faults) -> None:
        self.name = queue.name
        self._queue = queue
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def send(self, messages: Sequence[Message], *, delay: float = 0.0) -> list[bool]:
        """Send, unless the queue is to be full: raises `QueueFull` then. Waits while senders are held."""
        if self._faults._meet("send", self.name) is not None:
            raise QueueFull(self.name, 0)
        if self.name in self._faults._held:
            await self._faults._held[self.name].wait()
        return await self._queue.send(messages, delay=delay)

    async def receive(self, *arguments: Any, **options: Any) -> list[FaultyLease]:
        """Receive, as the engine does."""
        return [FaultyLease(lease, self) for lease in await self._queue.receive(*arguments, **options)]

    async def ack(self, leases: Sequence[FaultyLease], report: Report | None = None) -> None:
        """Acknowledge, unless that is to get lost."""
        if not self._loses_acknowledgement():
            await self._queue.ack([lease.inner for lease in leases], report)

    async def extend(self, leases: Sequence[FaultyLease], seconds: float) -> list[bool]:
        """Extend, as the engine does."""
        return await self._queue.extend([lease.inner for lease in leases], seconds)

    def _loses_acknowledgement(self) -> bool:
        return self._faults._meet("acknowledgement", self.name) is not None


class FaultyLease:
    """A lease whose acknowledgement may be lost."""

    def __init__(self, inner: Lease, queue: FaultyQueue) -> None:
        self.inner = inner
        self.message = inner.message
        self._queue = queue

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.inner.__aexit__(kind, error, trace)

    async def ack(self, report: Report | None = None) -> None:
        """Acknowledge, unless that is to get lost."""
        if not self._queue._loses_acknowledgement():
            await self.inner.ack(report)
