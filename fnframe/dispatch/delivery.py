"""The pollers of an app: for each function's asynchronous invocations, and for the queues and streams that feed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio

from ..errors import ConfigurationError
from ..polled import QueueTrigger, StreamTrigger
from .acceptance import PREFIX, queue_name
from .polled_function import PolledFunction
from .queues.asynchronous import Asynchronous
from .queues.batcher import Batcher
from .queues.leases import LEASE, Leases
from .queues.polled_queue import PolledQueue
from .queues.poller import Poller
from .retry import persist
from .selection import selection_of
from .service import Service, Works
from .settled.outbox import OUTBOX, Outbox
from .streams.polled_stream import PolledStream
from .streams.stream_function import StreamFunction

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from ..clock import Clock
    from ..engine.protocol import Engine, Queue, Stream
    from ..function import Manifest
    from ..trigger import Mapping
    from .dispatcher import Dispatcher, Observer
    from .retry import RetryPolicy
    from .settled.destinations import Destinations

LOOK_OUT = 1.0
"""Seconds between two looks for functions that another process has given something to do."""
LOOK_AGAIN = 0.5
"""Seconds between two looks at whether all is done, where other processes may do the last of it."""


class Delivery:
    """Starts and ends pollers. `concurrency` bounds what one of them has in progress, unless it was told otherwise."""

    def __init__(
        self, engine: Engine, dispatcher: Dispatcher, destinations: Destinations, clock: Clock, tasks: TaskGroup,
        *, policy: RetryPolicy, concurrency: int, lease: float = LEASE,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._dispatcher = dispatcher
        self._destinations = destinations
        self._clock = clock
        self._tasks = tasks
        self._policy = policy
        self._concurrency = concurrency
        self.settled: Observer = None
        self._leases = Leases(clock, lease)
        self._functions: dict[str, Service] = {}
        self._outbox: Service | None = None
        self._polled: set[Service] = set()
        self._looks_out = False
        self._changed = anyio.Event()
        tasks.start_soon(self._leases.keep)

    # Asynchronous invocations.

    async def serve(self, manifest: Manifest) -> None:
        """Work on what waits for these functions. What waits for one that is gone stays until it is there again."""
        known = {function.name for function in manifest.functions}
        for name in self._functions.keys() - known:
            self._functions.pop(name).end()
        await self._look()
        if self._engine.shared and not self._looks_out:
            self._looks_out = True
            self._tasks.start_soon(self._look_out)

    async def _look_out(self) -> None:
        while True:
            await self._clock.wait(anyio.Event(), self._clock.monotonic() + LOOK_OUT)
            await persist(self._look, self._clock, "a look for what other processes sent")

    async def _look(self) -> None:
        """See that the queues of this app's functions are served in which something lies."""
        for name in await self._engine.queues():
            if name.startswith(PREFIX) and self._dispatcher.serves(name.removeprefix(PREFIX)):
                self.poll_function(name.removeprefix(PREFIX))
            if name == OUTBOX:
                self.poll_outbox()

    def poll_function(self, name: str) -> None:
        """See that the queue of this function is served."""
        if name in self._functions:
            return
        reserved = self._dispatcher.function(name).reserved_concurrency
        handler = Asynchronous(name, self._dispatcher, self._destinations, self._clock, self._policy, self.settled)
        poller = Poller(
            self._engine.queue(queue_name(name)),
            handler,
            Batcher(self._clock),
            self._leases,
            self._clock,
            concurrency=max(1, min(reserved or self._concurrency, self._concurrency)),
            widened=reserved is None,
            changed=self._tell_change,
            suspect=handler.is_suspect,
        )
        service = self._functions[name] = Service(poller)
        self._tasks.start_soon(service.run)

    def poll_outbox(self) -> None:
        """See that the records for URLs are posted."""
        if self._outbox is None:
            outbox = Outbox(self._engine, self._leases, self._clock, self._policy, self._tell_change)
            self._outbox = Service(outbox)
            self._tasks.start_soon(self._outbox.run)

    # Queues and streams that feed functions.

    async def poll(self, mapping: Mapping, source: Queue | Stream, *, task_status: TaskStatus[str]) -> None:
        """Feed the mapping's function from this source until cancelled; see `Mapping.poll`."""
        works = self._poller_of(mapping, source)
        await works.prepare()
        service = Service(works)
        self._polled.add(service)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(service.run)
                try:
                    task_status.started(f"polls {source.name}")
                    await anyio.sleep_forever()
                finally:
                    service.stop(mapping.grace)
        finally:
            self._polled.discard(service)
            self._tell_change()

    # The end.

    async def drained(self) -> None:
        """Wait until nothing waits or runs, retries included."""
        while True:
            self._changed = changed = anyio.Event()
            if await self.is_idle():
                return
            await self._clock.wait(changed, self._clock.monotonic() + LOOK_AGAIN)

    async def finish(self, grace: float) -> None:
        """Take no more of fnframe's own queues; return when what runs is done, or given back after the grace."""
        for service in self._own():
            service.stop(grace)
        for service in self._own():
            await service.ended.wait()

    def end(self) -> None:
        """Have all pollers give back what they hold, now."""
        for service in (*self._own(), *self._polled):
            service.end()

    async def ended(self) -> None:
        """Wait until they have."""
        for service in (*self._own(), *self._polled):
            await service.ended.wait()

    async def is_idle(self) -> bool:
        """Whether nothing waits or runs now, retries included."""
        for service in (*self._own(), *self._polled):
            if not await service.works.is_idle():
                return False
        return True

    def _own(self) -> list[Service]:
        """What serves the queues that are fnframe's own."""
        return [*self._functions.values(), *([self._outbox] if self._outbox is not None else [])]

    def _tell_change(self) -> None:
        self._changed.set()

    def _poller_of(self, mapping: Mapping, source: Queue | Stream) -> Works:
        trigger = mapping.trigger
        if isinstance(trigger, QueueTrigger):
            return self._queue_poller(mapping, trigger, cast("Queue", source))
        if isinstance(trigger, StreamTrigger):
            return self._stream_poller(mapping, trigger, cast("Stream", source))
        raise ConfigurationError(
            f"{type(trigger).__name__}: mapping.poll is for a trigger that derives from QueueTrigger or StreamTrigger",
            where=mapping.function.where,
        )

    def _queue_poller(self, mapping: Mapping, trigger: QueueTrigger, queue: Queue) -> Works:
        function = PolledFunction(mapping, queue.name, self._dispatcher, self.settled)
        admits = selection_of(mapping, function.source)
        handler = PolledQueue(function, queue, trigger, admits, self._clock, self._policy)
        reserved = mapping.function.reserved_concurrency
        most = trigger.maximum_concurrency or self._concurrency
        return Poller(
            queue,
            handler,
            Batcher(self._clock, trigger.batch_size, trigger.window, function.largest, handler.alone),
            self._leases,
            self._clock,
            size=trigger.batch_size,
            concurrency=max(1, min(reserved, most)) if reserved is not None else most,
            widened=trigger.maximum_concurrency is None and reserved is None,
            changed=self._tell_change,
            suspect=handler.is_suspect,
        )

    def _stream_poller(self, mapping: Mapping, trigger: StreamTrigger, stream: Stream) -> Works:
        function = StreamFunction(
            mapping, trigger, stream.name, self._dispatcher, self.settled, self._destinations, self._clock, self._policy
        )
        return PolledStream(
            stream,
            f"{function.configuration.title}:{trigger.identity()}",  # Another version goes on where this one was.
            function,
            mapping.state,
            self._clock,
            self._leases.seconds,
            selection_of(mapping, function.source),
            self._tell_change,
        )
