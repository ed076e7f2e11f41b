"""Takes messages from a queue in bulk and has them handled in batches: a function's own queue or a user's."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from .crew import Crew
from .leases import give_back
from .retry import ENGINE_POLICY, persist

if TYPE_CHECKING:
    from ..clock import Clock
    from ..engine.protocol import Lease, Queue
    from .batcher import Batcher
    from .leases import Leases

log = logging.getLogger("fnframe.poller")

Verdict = TypeVar("Verdict")

SHORT = 0.02
"""Seconds: of a function whose batches take less, their wait for an environment included, more are in progress at once,
which closes the gaps between them. Others would only make everybody else wait."""
WIDER = 4
MOST_AHEAD = 512
"""Messages that are received before there is a task for them, where they are done as fast as that."""
MOST_SETTLING = 256
"""Settlements in progress at once: an engine commits them together."""
RECEIVED_AT_ONCE = 8 * 1024 * 1024
"""Bytes that are received in one step, by the size of the messages so far."""
ASSUMED_SIZE = 64 * 1024
GIVE_BACK = 2.0
"""Seconds for giving back what a poller that is cancelled still has."""


class Handler(Protocol[Verdict]):
    """What becomes of a batch: its function runs, then its queue is told."""

    async def invoke(self, batch: Sequence[Lease]) -> Verdict:
        """Run the function; what came of it."""

    async def settle(self, verdict: Verdict) -> Collection[str]:
        """End each lease; the groups of which something comes again. Where it raises, it is called once more."""


class Settlements(deque[tuple[list["Lease"], Verdict]]):
    """Batches that ran, with what came of them: the supply of those who tell the queue."""

    take = deque.popleft

    def __bool__(self) -> bool:
        return len(self) > 0


class Poller(Generic[Verdict]):
    """Serves one queue for one function.

    `size` is that of the batches and `concurrency` how many of them are in progress at once, which may be `widened`
    while they are short. Messages are received
    ahead only as fast as they are done: a slow function takes none from other hosts that could handle them. `changed`
    is called when nothing is left here.
    """

    def __init__(
        self, queue: Queue, handler: Handler[Verdict], batcher: Batcher, leases: Leases, clock: Clock,
        *, size: int = 1, concurrency: int, widened: bool = False, changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.queue = queue
        self._handler = handler
        self._batcher = batcher
        self._leases = leases
        self._clock = clock
        self._size = size
        self._concurrency = concurrency
        self._widened = concurrency * WIDER if widened else concurrency
        self._duration = 1.0
        self._changed = changed
        self._held: set[Lease] = set()
        self._settling: set[Lease] = set()
        self._settlements: Settlements[Verdict] = Settlements()
        self._intake = anyio.CancelScope()
        self._mean = float(ASSUMED_SIZE)
        self._running = 0
        """Batches that began and are not settled."""
        self._finished = 0
        """Messages that were done since more were received."""
        self._cut = anyio.Event()
        self._wanted = anyio.Event()
        self._ended = anyio.Event()

    async def prepare(self) -> None:
        """Nothing: what comes waits in the queue."""

    async def run(self) -> None:
        """Work until `stop` is called and what had begun is done. Cancelled, it gives back at once what it has."""
        with self._leases.kept(self.queue, self._held, self._lose):
            try:
                async with anyio.create_task_group() as tasks:
                    self._crew = Crew(tasks, self._concurrency, self._batcher, self._invoke)
                    self._settlers = Crew(tasks, MOST_SETTLING, self._settlements, self._settle)
                    if self._batcher.window:
                        tasks.start_soon(self._watch)
                    with self._intake:
                        await self._receive()
                    await self._return(self._batcher.clear())
                    while self._running:
                        self._ended = anyio.Event()
                        await self._ended.wait()
                    tasks.cancel_scope.cancel()
            finally:
                with anyio.move_on_after(GIVE_BACK, shield=True):
                    await self._return(list(self._held))

    def stop(self) -> None:
        """Receive no more, and begin nothing."""
        self._intake.cancel()

    async def is_idle(self) -> bool:
        """Whether the queue holds nothing that is not settled."""
        return not self._running and not (await self.queue.statistics()).total

    # Into it.

    async def _receive(self) -> None:
        failures = 0
        while True:
            while (room := self._room()) <= 0:
                self._wanted = anyio.Event()
                await self._wanted.wait()
            self._finished = 0
            most = max(1, min(room, int(RECEIVED_AT_ONCE / self._mean)))
            try:
                self._take(await self.queue.receive(most, self._leases.seconds))
                failures = 0
            except Exception as error:
                failures += 1
                delay = ENGINE_POLICY.delay(failures)
                told = "queue %r: nothing can be received (%s: %s); trying again in %.1f s"
                log.error(told, self.queue.name, type(error).__name__, error, delay)  # noqa: TRY400
                await self._clock.wait(anyio.Event(), self._clock.monotonic() + delay)

    def _room(self) -> int:
        """How many messages more may be held: for the tasks that are free, and as many as were done just now."""
        return self._size * self._crew.free + min(self._finished, MOST_AHEAD) - self._batcher.ready

    def _take(self, leases: Sequence[Lease]) -> None:
        if leases:
            self._held.update(leases)
            self._batcher.add(leases)
            size = sum(len(lease.message.body) for lease in leases) / len(leases)
            self._mean = (self._mean + size) / 2
        self._look()

    def _look(self) -> None:
        """There may be a batch now, or a partial one may have become the first."""
        if self._batcher:
            self._crew.call()
        elif self._batcher.window:
            self._cut.set()

    async def _watch(self) -> None:
        """See to it that a batch begins when it has waited for others long enough, until cancelled."""
        while True:
            self._cut = anyio.Event()
            await self._clock.wait(self._cut, self._batcher.next_due())
            if self._batcher:
                self._crew.call()
                await self._cut.wait()

    def _lose(self, leases: set[Lease]) -> None:
        """These ran out: what did not begin does not begin. Those that are being settled or returned are no news."""
        lost = leases - self._settling
        if lost:
            log.warning("queue %r: %d lease(s) ran out: others may get these messages too", self.queue.name, len(lost))
            self._held -= lost

    # Through it, and out.

    async def _invoke(self, batch: list[Lease]) -> None:
        self._running += 1
        self._look()
        lent = batch if self._held.issuperset(batch) else [lease for lease in batch if lease in self._held]
        if not lent:  # The leases ran out while they waited here.
            return await self._end(batch, ())
        begun = time.monotonic()
        verdict = await self._handler.invoke(lent)
        self._duration += (time.monotonic() - begun - self._duration) / 16
        self._crew.most = self._widened if self._duration < SHORT else self._concurrency
        self._settlements.append((batch, verdict))
        self._settlers.call()
        return None

    async def _settle(self, settlement: tuple[list[Lease], Verdict]) -> None:
        batch, verdict = settlement
        failed: Collection[str] = ()

        async def settle() -> None:
            nonlocal failed
            failed = await self._handler.settle(verdict)

        self._settling.update(batch)
        await persist(settle, self._clock, f"queue {self.queue.name!r}: an acknowledgement")
        self._settling.difference_update(batch)
        await self._end(batch, failed)

    async def _end(self, batch: list[Lease], failed: Collection[str]) -> None:
        self._held.difference_update(batch)
        self._running -= 1
        self._finished += len(batch)
        await self._return(self._batcher.done(batch, failed))
        self._look()
        if not self._wanted.is_set() and self._room() > 0:
            self._wanted.set()
        if not self._running:
            self._ended.set()
            if not self._batcher.waiting:
                self._changed()

    async def _return(self, leases: Collection[Lease]) -> None:
        if leases:
            self._settling.update(leases)
            await give_back(leases)
            self._settling.difference_update(leases)
            self._held.difference_update(leases)
