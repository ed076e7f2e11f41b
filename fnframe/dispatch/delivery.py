"""Accepts events for asynchronous invocations, and sees that each reaches its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from ..environment.invocation import Invocation
from ..environment.wire import Ack, Send
from ..errors import FnframeError, PayloadTooLarge, RecursionStopped
from ..event import Event, new_id, now
from .destinations import Destinations
from .poller import Envelope, Poller, RetryPolicy, encode_envelope

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import TaskGroup

    from ..clock import Clock
    from ..engine.protocol import Engine
    from ..function import Manifest
    from .dispatcher import Dispatcher, Observer


class Delivery:
    """The queues of an app's functions, and a poller for each that has been used.

    `concurrency` bounds how many events of one function are out of its queue at once; `directory` is where relative
    destinations count from; `check_running` raises when nothing can be accepted any more.
    """

    def __init__(
        self, engine: Engine, dispatcher: Dispatcher, clock: Clock, tasks: TaskGroup, *, policy: RetryPolicy,
        concurrency: int, directory: Path, settled: Observer, check_running: Callable[[], None],
    ) -> None:  # fmt: skip
        self._engine = engine
        self._dispatcher = dispatcher
        self._clock = clock
        self._tasks = tasks
        self._policy = policy
        self._concurrency = concurrency
        self._destinations = Destinations(directory, self._to_destination)
        self._settled = settled
        self._check_running = check_running
        self._pollers: dict[str, anyio.CancelScope] = {}
        self._changed = anyio.Event()

    async def accept(self, function: str, event: Event, *, trigger: str) -> bool:
        """Put an event into the queue of a function's asynchronous invocations; False for a duplicate id."""
        self._check_running()
        limits = self._dispatcher.limits
        self._dispatcher.function(function)
        if len(event.data) > limits.asynchronous_payload:
            raise PayloadTooLarge(function, len(event.data), limits.asynchronous_payload)
        if event.depth > limits.depth:
            raise RecursionStopped(function, event.depth)
        body = encode_envelope(Envelope(event, new_id(), trigger))
        # CloudEvents promise that source and id together are unique, not that an id is.
        accepted = await self._engine.queue(_queue_name(function)).send(f"{event.source} {event.id}", body)
        self._poll(function)
        return accepted

    async def from_handler(self, invocation: Invocation, send: Send) -> Ack:
        """Accept an event that a handler sent from inside; its id makes a retry repeat rather than multiply."""
        cause = invocation.event
        event = Event(
            id=f"{cause.id}:{send.function}:{send.number}",
            source="fnframe:function",
            type="fnframe.function.enqueued",
            time=now(),
            data=send.data,
            traceparent=cause.traceparent,
            tracestate=cause.tracestate,
            depth=cause.depth + 1,
        )
        try:
            await self.accept(send.function, event, trigger="function")
        except FnframeError as error:
            return Ack(None, str(error))
        return Ack(event.id, None)

    async def serve(self, manifest: Manifest) -> None:
        """Work on what waits for these functions. What waits for one that is gone stays until it is there again."""
        known = {function.name for function in manifest.functions}
        for name in self._pollers.keys() - known:
            self._pollers.pop(name).cancel()
        for function in await self._waiting():
            self._poll(function)

    async def drained(self) -> None:
        """Wait until no event waits or runs, retries included."""
        while True:
            self._changed = changed = anyio.Event()
            if not await self._waiting():
                return
            await changed.wait()

    def end(self) -> None:
        """End the pollers, which give back what they hold."""
        for scope in self._pollers.values():
            scope.cancel()

    async def _waiting(self) -> list[str]:
        """The functions of today for which events wait or run."""
        queues = [name.removeprefix(PREFIX) for name in await self._engine.queues()]
        return [function for function in queues if self._dispatcher.serves(function)]

    def _poll(self, function: str) -> None:
        if function in self._pollers:
            return
        reserved = self._dispatcher.function(function).reserved_concurrency
        poller = Poller(
            function,
            self._engine.queue(_queue_name(function)),
            self._dispatcher,
            self._destinations,
            self._clock,
            policy=self._policy,
            concurrency=max(1, min(reserved or self._concurrency, self._concurrency)),
            settled=self._settled,
            changed=self._tell_change,
        )
        self._pollers[function] = scope = anyio.CancelScope()
        self._tasks.start_soon(_run_within, scope, poller)

    def _tell_change(self) -> None:
        self._changed.set()

    async def _to_destination(self, function: str, event: Event) -> None:
        await self.accept(function, event, trigger="destination")


PREFIX = "function:"


def _queue_name(function: str) -> str:
    return f"{PREFIX}{function}"


async def _run_within(scope: anyio.CancelScope, poller: Poller) -> None:
    with scope:
        await poller.run()
