"""A host for one trigger: real parts, a function in this process that notes its events, an engine in memory, and time
that is turned by hand."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import msgspec
from msgspec.structs import replace

from ...app import App
from ...dispatch.acceptance import Acceptance
from ...dispatch.delivery import Delivery
from ...dispatch.dispatcher import Dispatcher
from ...dispatch.retry import RetryPolicy
from ...dispatch.settled.destinations import Destinations
from ...dispatch.verdict import Judge
from ...engine.memory import MemoryEngine
from ...engine.protocol import EngineOptions
from ...environment.inline import Inline
from ...event import Event
from ...runtime.mapping import BoundMapping
from ..clock import ManualClock
from ..engines.obligation import ObligationBroken

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ...engine.protocol import Engine
    from ...runtime.running import Running
    from ...trigger import Trigger

PATIENCE = 10.0
"""Seconds of real time for something to happen."""
STILL = 0.2
"""Seconds of real time in which what must not happen would."""


class World:
    """What an obligation is checked in; `directory` is the app's folder, `clock` its time."""

    def __init__(
        self, trigger: Trigger, cause: Callable[[World], Awaitable[object]], directory: Path, queue_bound: int,
        settings: msgspec.Struct | None,
    ) -> None:  # fmt: skip
        self.trigger = trigger
        self.settings = settings or trigger.Settings()
        self.directory = directory.resolve()
        self.clock = ManualClock()
        self.engine: Engine = MemoryEngine(
            EngineOptions(directory=self.directory, clock=self.clock, queue_bound=queue_bound)
        )
        self.events: list[Event] = []
        """What came to the function, in the order in which it began with it."""
        self.told = ""
        """What the trigger said when it was ready."""
        self.gate = anyio.Event()
        """The function ends when this is set."""
        self.gate.set()
        self.count: Callable[[], int] = itertools.count(1).__next__
        """A number that is another one each time, for what `cause` makes."""
        self._cause = cause

    async def cause(self, times: int = 1) -> None:
        """Let what the trigger is to tell of happen so many times."""
        for _ in range(times):
            await self._cause(self)

    @asynccontextmanager
    async def running(self, trigger: Trigger | None = None, *, crashes: bool = False) -> AsyncIterator[Host]:
        """A host that runs the trigger; leaving it ends that. `crashes`: the host ends when it has accepted an event,
        before the trigger hears of it."""
        async with anyio.create_task_group() as tasks:
            host = Host(self, trigger or self.trigger, tasks, crashes=crashes)
            try:
                await host.start()
                yield host
                await host.stop()
            finally:
                host.delivery.end()  # Pollers end by nothing else.
            await host.delivery.ended()
            tasks.cancel_scope.cancel()

    async def until(self, fact: Callable[[], object], what: str) -> None:
        """Wait for a fact while time passes. Raises `ObligationBroken` where it does not come."""
        with anyio.move_on_after(PATIENCE):
            while not fact():
                await anyio.sleep(0.002)
                self.clock.advance(0.01)
            return
        raise ObligationBroken(f"{what}: it never came")

    async def come(self, count: int) -> None:
        """Wait until so many events have come."""
        await self.until(lambda: len(self.events) >= count, f"event {count} (found {len(self.events)})")

    async def settled(self) -> None:
        """Wait until nothing more comes, while time passes."""
        count = -1
        while count != len(self.events):
            count = len(self.events)
            with anyio.move_on_after(STILL):
                while True:
                    await anyio.sleep(0.002)
                    self.clock.advance(0.01)


class Host:
    """One life of a process that runs the trigger: what `fnframe.Mapping` needs of a running app."""

    debug = False
    grace = 1.0
    filtered = None

    def __init__(self, world: World, trigger: Trigger, tasks: TaskGroup, *, crashes: bool) -> None:
        self.engine = world.engine
        self.shared = world.engine.shared
        self.clock = world.clock
        self.settings = self
        self.accepted = anyio.Event()
        self._world = world
        self._trigger = trigger
        self._tasks = tasks
        self._crashes = crashes
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()

        app = App("checked")

        @app.function(trigger, isolation="inline", timeout=60.0, retries=0)
        async def handle(event: Event) -> None:
            world.events.append(event)
            await world.gate.wait()

        self.manifest = replace(app.manifest(), directory=str(world.directory))
        inline = Inline(app, self.manifest.limits.response_payload)
        self.dispatcher = Dispatcher(Judge("test"), self._deliver, lambda event, _, name: trigger.header(event, name))
        self.dispatcher.serve(self.manifest, lambda _: inline)
        self.acceptance = Acceptance(self.engine, self.dispatcher, check_running=lambda: None, arrived=self._poll)
        destinations = Destinations(world.directory, self.engine, self.acceptance, posted=lambda: None)
        self.delivery = Delivery(
            self.engine, self.dispatcher, destinations, self.clock, tasks, policy=RetryPolicy(0.1, 1.0), concurrency=4
        )

    async def start(self) -> None:
        """Start the trigger; returns when it is ready."""
        await self.delivery.serve(self.manifest)
        mapping = BoundMapping(cast("Running", self), "handle", self._trigger, self._world.settings)
        texts = await self._tasks.start(self._run, mapping)
        if not isinstance(texts, (list, tuple)) or len(texts) != 1:
            raise ObligationBroken(f"run_all must say that it started with a list of one text, found {texts!r}")
        self._world.told = str(texts[0])

    async def stop(self) -> None:
        """Cancel the trigger and wait for its end."""
        self._scope.cancel()
        with anyio.move_on_after(PATIENCE):
            await self._ended.wait()
            return
        raise ObligationBroken(f"it was cancelled and did not end within {PATIENCE:g} seconds")

    async def accept(self, function: str, event: Event, **options: Any) -> bool:
        """As a running app does; a host that crashes does so here."""
        is_new = await self.acceptance.enqueue(function, event, **options)
        self.accepted.set()
        if self._crashes:
            self._scope.cancel()
            await anyio.sleep_forever()
        return is_new

    async def is_pending(self, function: str, source: str, event_id: str) -> bool:
        return await self.acceptance.is_pending(function, source, event_id)

    def _poll(self, function: str) -> None:
        if not self._crashes:
            self.delivery.poll_function(function)

    async def _run(self, mapping: BoundMapping, *, task_status: Any) -> None:
        try:
            with self._scope:
                await type(self._trigger).run_all([mapping], task_status=task_status)
        finally:
            self._ended.set()

    async def _deliver(self, invocation: Any, send: Any) -> Any:
        return await self.acceptance.from_handler(invocation, send)
