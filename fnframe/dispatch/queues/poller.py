"""Takes messages from a queue in bulk and has them handled in batches: a function's own queue or a user's."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from ..retry import persist
from .batcher import size_of
from .crew import Crew
from .leases import give_back
from .suspects import LATER, Suspects

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Lease, Queue
    from .batcher import Batcher
    from .leases import Leases

log = logging.getLogger("fnframe.poller")

Verdict = TypeVar("Verdict")

SHORT = 0.02
"""Seconds: of a function whose batches take less, their wait for an environment included, more are in progress at once,
which closes the gaps between them. Others would only make everybody else wait."""
WIDER = 4
"""So many times the batches, then."""
MOST_AHEAD = 512
"""Messages that are received before there is a task for them, where they are done as fast as that."""
MOST_AT_ONCE, MOST_BYTES = 10_000, 8 * 1024 * 1024
"""Messages, and bytes by the size of the messages so far, that are received in one step."""
ASSUMED_SIZE = 64 * 1024
GIVE_BACK = 2.0
"""Seconds for settling what had ended when a poller was cancelled, and for giving back the rest."""

Settle = Callable[[], Awaitable[Collection[str]]]


class Handler(Protocol[Verdict]):
    """What becomes of a batch: its function runs, then its queue is told."""

    async def invoke(self, batch: Sequence[Lease]) -> Verdict:
        """Run the function; what came of it."""

    async def settle(self, verdict: Verdict) -> Collection[str]:
        """End each lease; the groups of which something comes again. Where it raises, it is called once more."""

    def failed(self, batch: Sequence[Lease], error: Exception) -> Verdict:
        """What becomes of a batch where `invoke` raised, which no function does: its messages failed."""


class Poller(Generic[Verdict]):
    """Serves one queue for one function.

    `size` is that of the batches and `concurrency` how many of them are in progress at once, which may be `widened`
    while they are short. Messages are received ahead only as fast as they are done: a slow function takes none from
    other hosts that could handle them. Of `suspect` messages one is held at a time. `changed` is called when nothing
    is left here.
    """

    def __init__(
        self, queue: Queue, handler: Handler[Verdict], batcher: Batcher, leases: Leases, clock: Clock,
        *, size: int = 1, concurrency: int, widened: bool = False, changed: Callable[[], None],
        suspect: Callable[[Lease], bool] = lambda lease: False,
    ) -> None:  # fmt: skip
        self.queue = queue
        self._what = f"queue {queue.name!r}: an acknowledgement"
        self._handler = handler
        self._batcher = batcher
        self._leases = leases
        self._clock = clock
        self._size = size
        self._concurrency = concurrency
        self._widened = concurrency * WIDER if widened else concurrency
        self._duration = 1.0
        self._changed = changed
        self._suspects = Suspects(suspect)
        self._held: set[Lease] = set()
        self._settling: set[Lease] = set()
        """Of those held, the ones that are just being settled or given back."""
        self._late: list[tuple[list[Lease], Settle]] = []
        """What had come to its end when the poller was cancelled, and how it is settled."""
        self._left: list[Lease] = []
        """What had not begun when the poller was stopped."""
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
                    self._crew = Crew(tasks, self._concurrency, self._batcher, self._invoke, self._settle)
                    if self._batcher.window:
                        tasks.start_soon(self._watch)
                    with self._intake:
                        await self._receive()
                    await self._return([*self._left, *self._batcher.clear()])
                    while self._running:
                        self._ended = anyio.Event()
                        await self._ended.wait()
                    tasks.cancel_scope.cancel()
            finally:
                with anyio.move_on_after(GIVE_BACK, shield=True):
                    await self._leave()

    def stop(self) -> None:
        """Receive no more, and begin nothing."""
        self._left += self._batcher.clear()
        self._intake.cancel()

    async def is_idle(self) -> bool:
        """Whether the queue holds nothing that is not settled."""
        return not self._running and not (await self.queue.statistics()).total

    # Into it.

    async def _receive(self) -> None:
        while True:
            while (room := self._room()) <= 0:
                self._wanted = anyio.Event()
                await self._wanted.wait()
            self._finished = 0
            most = max(1, min(room, MOST_AT_ONCE, int(MOST_BYTES / self._mean)))
            receive = partial(self.queue.receive, most, self._leases.seconds)
            await self._take(await persist(receive, self._clock, f"queue {self.queue.name!r}: receiving"))

    def _room(self) -> int:
        """How many messages more may be held: for the tasks that are free, and about twice as many as were done since
        more were received: with no more than as many, each step would bring one or two."""
        ahead = max(0, 2 * self._finished - 1)
        return self._size * self._crew.free + min(ahead, MOST_AHEAD) - self._batcher.ready

    async def _take(self, leases: Sequence[Lease]) -> None:
        self._held.update(leases)
        self._leases.came()
        stay, back = self._suspects.sort(leases)
        self._batcher.add(stay)
        if leases:
            self._mean = (self._mean + sum(map(size_of, leases)) / len(leases)) / 2
        self._look()
        await self._return(back, LATER)

    def _look(self) -> None:
        """There may be a batch now, or a partial one may have become the first."""
        self._crew.call()
        if self._batcher.window and not self._batcher:
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
            self._suspects.done(lost)

    # Through it, and out.

    async def _invoke(self, batch: list[Lease]) -> Verdict | None:
        """None where leases ran out while the batch waited here: the rest must not go ahead of what it lost."""
        self._running += 1
        self._look()
        if not self._held.issuperset(batch):
            return None
        begun = time.monotonic()
        verdict = await self._outcome(batch)
        self._duration += (time.monotonic() - begun - self._duration) / 16
        self._crew.most = self._widened if self._duration < SHORT else self._concurrency
        return verdict

    async def _outcome(self, batch: list[Lease]) -> Verdict:
        """What came of a batch: whatever it brings about, the others are handled."""
        try:
            return await self._handler.invoke(batch)
        except Exception as error:
            return self._handler.failed(batch, error)

    async def _settle(self, batch: list[Lease], verdict: Verdict | None) -> None:
        failed: Collection[str]
        if verdict is not None:
            self._settling.update(batch)
            settle = partial(self._handler.settle, verdict)
            try:
                failed = await persist(settle, self._clock, self._what)
            except BaseException:
                self._late.append((batch, settle))
                raise
            self._settling.difference_update(batch)
        else:
            failed = {lease.message.group for lease in batch if lease.message.group is not None}
            await self._return(self._held.intersection(batch))
        await self._end(batch, failed)

    async def _end(self, batch: list[Lease], failed: Collection[str]) -> None:
        self._held.difference_update(batch)
        self._suspects.done(batch)
        self._running -= 1
        self._finished += len(batch)
        await self._return(self._batcher.done(batch, failed))
        self._look()
        if not self._wanted.is_set() and self._room() > self._batcher.ready:
            self._wanted.set()
        if not self._running:
            self._ended.set()
            if not self._batcher.waiting:
                self._changed()

    async def _leave(self) -> None:
        """Settle what has ended, which must not run again for nothing, and give back the rest."""
        async with anyio.create_task_group() as tasks:
            for batch, settle in self._late:
                self._held.difference_update(batch)
                tasks.start_soon(self._settle_late, settle)
            tasks.start_soon(self._return, list(self._held))

    async def _settle_late(self, settle: Settle) -> None:
        try:
            await settle()
        except Exception as error:
            told = "%s failed at the end (%s: %s): what it was for comes again when its lease runs out"
            log.warning(told, self._what, type(error).__name__, error)

    async def _return(self, leases: Collection[Lease], delay: float = 0.0) -> None:
        if leases:
            self._settling.update(leases)
            await give_back(leases, delay)
            self._settling.difference_update(leases)
            self._held.difference_update(leases)
            self._suspects.done(leases)
