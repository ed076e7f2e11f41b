"""A host's part of delivery, without processes: inline functions, and an engine that several hosts may share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from fnframe.dispatch.acceptance import Acceptance
from fnframe.dispatch.delivery import Delivery
from fnframe.dispatch.dispatcher import Dispatcher
from fnframe.dispatch.retry import RetryPolicy
from fnframe.dispatch.settled.destinations import Destinations
from fnframe.dispatch.verdict import Judge
from fnframe.environment.inline import Inline
from fnframe.event import Event, encode_json, now
from fnframe.runtime.producers import QueueProducer, StreamProducer
from fnframe.trigger import kind_of

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from fnframe import App, Outcome, State, Trigger
    from fnframe.clock import Clock
    from fnframe.engine.protocol import Engine, Queue, Stream
    from fnframe.function import Function


POLICY = RetryPolicy(0.1, 1.0)


class Binding:
    """`fnframe.Mapping` of a host."""

    debug = False
    app = "test"
    settings: Any = None
    directory = Path()

    def __init__(self, host: Host, function: Function, trigger: Trigger) -> None:
        self._host = host
        self.function = function
        self.trigger = trigger
        self.state: State = host.engine.state(f"mapping:{function.name}:{trigger.identity()}")

    @property
    def grace(self) -> float:
        return self._host.grace

    def passes(self, event: Event) -> bool:
        return True

    async def invoke(self, event: Event) -> Outcome:
        return await self._host.dispatcher.invoke(self.function.name, event, event.id)

    async def enqueue(self, event: Event) -> bool:
        return await self._host.acceptance.enqueue(self.function.name, event, trigger=kind_of(self.trigger))

    def queue(self, name: str) -> Queue:
        return self._host.engine.queue(name)

    def stream(self, name: str) -> Stream:
        return self._host.engine.stream(name)

    async def poll(self, source: Queue | Stream, *, task_status: Any) -> None:
        await self._host.delivery.poll(self, source, task_status=task_status)


class Host:
    """One process: made by `running`."""

    def __init__(self, app: App, engine: Engine, clock: Clock, tasks: TaskGroup, policy: RetryPolicy) -> None:
        self.engine = engine
        self.grace = 5.0
        self._triggers: list[tuple[anyio.CancelScope, anyio.Event]] = []
        self.dispatcher = Dispatcher(Judge("test"), self._deliver, lambda *_: None)
        manifest = app.manifest()
        self.dispatcher.serve(manifest, lambda function: Inline(app, manifest.limits))
        self.acceptance = Acceptance(
            engine, self.dispatcher, check_running=lambda: None, arrived=lambda name: self.delivery.poll_function(name)
        )
        destinations = Destinations(Path(), engine, self.acceptance, posted=lambda: self.delivery.poll_outbox())
        self.delivery = Delivery(engine, self.dispatcher, destinations, clock, tasks, policy=policy, concurrency=4)

    def queue(self, name: str) -> QueueProducer:
        return QueueProducer(name, self.acceptance)

    def stream(self, name: str) -> StreamProducer:
        return StreamProducer(name, self.acceptance)

    async def drained(self) -> None:
        await self.delivery.drained()

    def die(self) -> None:
        """Whatever is held is told nothing any more."""
        for _, held, _ in self.delivery._leases._held:
            held.clear()

    async def stop(self, grace: float) -> None:
        """End in order, as a first SIGTERM does."""
        self.grace = grace
        for scope, _ in self._triggers:
            scope.cancel()
        for _, ended in self._triggers:
            await ended.wait()
        await self.delivery.finish(grace)

    async def run(self, trigger: Trigger, function: Function, *, task_status: Any) -> None:
        scope, ended = anyio.CancelScope(), anyio.Event()
        self._triggers.append((scope, ended))
        with scope:
            await trigger.run(Binding(self, function, trigger), task_status=task_status)
        ended.set()

    async def _deliver(self, invocation: Any, send: Any) -> Any:
        return await self.acceptance.from_handler(invocation, send)


@asynccontextmanager
async def running(
    app: App, engine: Engine, clock: Clock, *, policy: RetryPolicy = POLICY, dies: bool = False
) -> AsyncIterator[Host]:
    """Run an app's triggers and pollers. Leaving it ends them at once, as a second SIGTERM does; or, where the host
    `dies`, as SIGKILL does: it gives nothing back."""
    async with anyio.create_task_group() as tasks:
        host = Host(app, engine, clock, tasks, policy)
        await host.delivery.serve(app.manifest())
        for definition in app.definitions.values():
            for trigger in definition.triggers:
                await tasks.start(host.run, trigger, definition.function)
        try:
            yield host
        finally:
            if dies:
                host.die()
            host.delivery.end()
            tasks.cancel_scope.cancel()


def event_of(data: Any) -> Event:
    """An event with this data, and an id made of it."""
    return Event(id=f"e{data}", source="s", type="t", time=now(), data=encode_json(data))
