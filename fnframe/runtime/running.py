"""The running app: what users, triggers and plugins call, and the exchange of its code. `run.py` starts one."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from ..clock import Clock
from ..dispatch.acceptance import Acceptance
from ..dispatch.delivery import Delivery
from ..dispatch.dispatcher import Dispatcher, Environments, Observer
from ..dispatch.retry import RetryPolicy
from ..dispatch.settled.destinations import Destinations
from ..dispatch.verdict import Judge
from ..engine.memory import MemoryEngine
from ..engine.protocol import REPORTS
from ..environment.inline import Inline
from ..environment.invocation import Invocation
from ..environment.pool import Pool
from ..environment.readiness import Readiness
from ..environment.wire import Ack, Send
from ..errors import FnframeError, NotRunning, nearest
from ..event import Event, encode_json, new_id, now
from ..function import Function
from ..lifespan import Serves
from ..trigger import Trigger, kind_of
from .bundle import Bundle, Source, start_bundle, with_others_beside
from .config import Settings
from .engines import engines_in
from .mapping import BoundMapping
from .plugins import Plugins
from .producers import QueueProducer, StreamProducer
from .provided import Provided
from .triggers import Triggers

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ..app import App
    from ..engine.protocol import Engine, QueueStatistics, Stream
    from ..environment.template import Template
    from ..function import Manifest
    from ..outcome import Outcome
    from ..trigger import State

log = logging.getLogger("fnframe")

REVIVAL_DELAY, LONGEST_REVIVAL_DELAY = 1.0, 60.0
"""Seconds between two tries to start another template; doubled each time."""


class Running:
    """An app that runs: made by `app.run()` or `run_target()`."""

    def __init__(
        self, bundle: Bundle, plugins: Plugins, settings: Settings, engine: Engine, pool: Pool, tasks: TaskGroup,
        *, source: Source, serves: Serves, embedded: App | None, mounted: frozenset[str], readiness: Readiness,
        clock: Clock, debug: bool, provided: Provided,
    ) -> None:  # fmt: skip
        self.plugins = plugins
        self.settings = settings
        self.engine = engine
        self.pool = pool
        self.clock = clock
        self.serves = serves
        self.debug = debug
        self.shared = engine.shared
        self.services: dict[str, Any] = {}
        self._bundle = bundle
        self._source = source
        self._embedded = embedded
        self._readiness = readiness
        self._provided = provided
        self._tasks = tasks
        self._closed = False
        self._works_off = False
        self._reloading = anyio.Lock()
        self._died = anyio.Event()
        self.dispatcher = Dispatcher(Judge(platform.node()), self.deliver, self._header_of)
        self.acceptance = Acceptance(engine, self.dispatcher, check_running=self.check_running, arrived=self._arrived)
        self.destinations = Destinations(Path(bundle.manifest.directory), engine, self.acceptance, posted=self._posted)
        self.delivery = Delivery(
            engine, self.dispatcher, self.destinations, clock, tasks,
            policy=RetryPolicy(settings.retry_base, settings.retry_cap),
            lease=settings.lease,
            concurrency=2 * pool.max_environments,
        )  # fmt: skip
        self.filtered: Observer = None
        self._triggers = Triggers(self, tasks, mounted)
        self.listen()
        self._open(bundle)

    def __getattr__(self, name: str) -> Any:
        return self.service(name)

    def listen(self) -> None:
        """Let all plugins hear and steer what their hooks are for."""
        plugins, dispatcher = self.plugins, self.dispatcher
        dispatcher.admit = plugins.gate("fnframe_admit")
        dispatcher.started = plugins.observer("fnframe_invocation_started")
        dispatcher.reported = plugins.observer("fnframe_invocation_reported")
        dispatcher.hold = plugins.holder("fnframe_before_reply")
        self.delivery.settled = plugins.observer("fnframe_event_settled")
        self.filtered = plugins.observer("fnframe_event_filtered")
        hear = plugins.observer("fnframe_invocation_output")
        if hear is not None:
            self.pool.hear = lambda invocation, function, data: hear(
                invocation.request_id if invocation is not None else "", function, data
            )

    def register(self, plugin: object) -> None:
        """Use an object with hooks as a plugin of this run; see `RunningApp`."""
        self.plugins.add(plugin, f"{type(plugin).__name__} of this run")

    @property
    def durable(self) -> bool:
        """Whether all that is accepted outlives this process; see `RunningApp`."""
        return all(engine.durable for engine in engines_in(self.engine).values())

    @property
    def reports(self) -> Mapping[str, Stream]:
        """What came with an acknowledgement; see `RunningApp`."""
        return {
            f"reports of {name}": engine.stream(REPORTS)
            for name, engine in engines_in(self.engine).items()
            if engine.durable
        }

    async def queue_statistics(self) -> Mapping[str, QueueStatistics]:
        """What each queue holds that holds something; see `RunningApp`."""
        return {name: await self.engine.queue(name).statistics() for name in await self.engine.queues()}

    def service(self, name: str) -> Any:
        """What a plugin's lifespan offers; `running.cron` is the service `cron`."""
        services: dict[str, Any] = self.__dict__.get("services", {})
        if name not in services:
            raise AttributeError(f"a running app has no {name!r}, and no plugin offers it{nearest(name, services)}")
        return services[name]

    @property
    def manifest(self) -> Manifest:
        """The app's functions and triggers, as they are served now."""
        return self._bundle.manifest

    @property
    def started(self) -> list[tuple[str, str]]:
        """Function and what its trigger said when it was ready, for each mapping that is served."""
        return self._triggers.started

    def mappings(self, kind: type[Trigger]) -> list[BoundMapping]:
        """The event source mappings of one type of trigger, in the order of the app's declarations."""
        return self._triggers.mappings(kind)

    def mapping(self, function: str, trigger: Trigger) -> BoundMapping:
        """Bind a trigger to a function while the app runs; see `RunningApp`."""
        return self._triggers.mapping(function, trigger)

    def run_with_triggers(self, run: Callable[..., Any], *, polls: bool = False) -> None:
        """Run this as the triggers are run; see `RunningApp`."""
        self._triggers.companions.append((run, polls))

    def settings_of(self, name: str) -> Any:
        """The table of settings of this name; see `RunningApp`."""
        return self.settings.tables[name]

    def state(self, name: str) -> State:
        """Where a plugin keeps what it must remember; see `RunningApp`."""
        return self.engine.state(f"plugin:{name}")

    @property
    def scratch(self) -> Path:
        """A folder that lives as long as the app runs; see `RunningApp`."""
        return self._provided.scratch

    def _header_of(self, event: Event, kind: str, name: str) -> str | None:
        type_ = self.plugins.trigger_types.get(kind) or self.embedded_trigger(kind) or Trigger
        return type_.header(event, name)

    def embedded_trigger(self, kind: str) -> type[Trigger] | None:
        """The type of a trigger that no plugin registers, but that the app in this process uses."""
        app = self._bundle.app
        triggers = [trigger for d in app.definitions.values() for trigger in d.triggers] if app is not None else []
        return next((type(trigger) for trigger in triggers if kind_of(trigger) == kind), None)

    async def invoke(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> Outcome:
        """Run a function and wait for its outcome, a `Success` or a `Failure` with its report.

        Give `data` (anything that encodes to JSON), or `payload` (JSON, encoded), or a whole `event`.
        Raises `FunctionNotFound`, and `NotRunning` after the end; cancelling the call ends the invocation.
        """
        self.check_running()
        return await self.dispatcher.invoke(function, *asked(data, event, payload))

    async def enqueue(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> str:
        """Accept an event for an asynchronous invocation and return its id; fnframe runs and retries it.

        Raises `FunctionNotFound`, `QueueFull`, `PayloadTooLarge`, `RecursionStopped`, and `NotRunning` after the end.
        """
        fresh = event is None
        event, _ = asked(data, event, payload)
        await self.acceptance.enqueue(function, event, trigger="direct", fresh=fresh)
        return event.id

    async def accept(
        self, function: str, event: Event, *, trigger: str, group: str | None = None, fresh: bool = False
    ) -> bool:
        """Put an event into the queue of a function's asynchronous invocations; False for a duplicate id."""
        return await self.acceptance.enqueue(function, event, trigger=trigger, group=group, fresh=fresh)

    async def is_pending(self, function: str, source: str, event_id: str) -> bool:
        """Whether an event that was accepted has not come to its end yet."""
        return await self.acceptance.is_pending(function, source, event_id)

    def queue(self, name: str) -> QueueProducer:
        """The queue of this name, to send messages to. Raises `ValueError` for a name that is fnframe's own."""
        return QueueProducer(name, self.acceptance)

    def stream(self, name: str) -> StreamProducer:
        """The stream of this name, to publish records to. Raises `ValueError` for a name that is fnframe's own."""
        return StreamProducer(name, self.acceptance)

    async def deliver(self, invocation: Invocation, send: Send) -> Ack:
        """Accept what a handler sends from inside."""
        return await self.acceptance.from_handler(invocation, send)

    def _arrived(self, function: str) -> None:
        self.delivery.poll_function(function)

    def _posted(self) -> None:
        self.delivery.poll_outbox()

    async def drained(self) -> None:
        """Wait until nothing waits or runs: asynchronous events, and what the polled queues and streams hold."""
        await self.delivery.drained()

    async def is_idle(self) -> bool:
        """Whether nothing waits or runs now; see `drained`."""
        return await self.delivery.is_idle()

    async def serve(self) -> None:
        """Work on what waits from before, and start the triggers: all, or those whose events can wait outside.

        Returns when they are ready. Who only looks at the app, or calls it, touches nothing that waits.
        """
        self._works_off = self.serves in ("all", "backlog")
        if self._works_off:
            self.destinations.check(self.manifest)
        await self._triggers.serve(self.serves)
        if self._works_off:
            await self.delivery.serve(self.manifest)

    async def reload(self) -> Manifest:
        """Serve the code as it is now; what runs ends in the old. Broken, it raises and the old goes on."""
        async with self._reloading:
            bundle = await start_bundle(
                self._source, self._readiness, self._provided, self._embedded, self.settings.start_method
            )
            old = self._bundle
            try:
                await self._exchange_or_stay(bundle)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await bundle.close()
                raise
        try:
            await self.pool.left()
        finally:
            await old.close()
        return bundle.manifest

    def ready_environments(self, function: str) -> int:
        """How many environments of a function have begun; see `RunningApp`."""
        return self.pool.ready(function)

    async def serve_beside(self, owner: str, functions: Sequence[Function]) -> None:
        """Serve these functions beside the app's, in place of those that this owner gave before; see `RunningApp`."""
        self.check_running()
        async with self._reloading:
            beside = self._provided.beside
            before, beside[owner] = beside.get(owner, ()), tuple(functions)
            try:
                bundle = await with_others_beside(
                    self._bundle, self._source, self._readiness, self._provided, self.settings.start_method
                )
                await self._exchange_or_stay(bundle)
            except BaseException:
                beside[owner] = before
                raise
            for template in bundle.spare_templates():
                self._tasks.start_soon(self._close_when_left, template)

    async def _close_when_left(self, template: Template) -> None:
        """Close a template of which no function is served any more, when its environments have ended."""
        template.died = lambda: None
        try:
            await self.pool.left()
        finally:
            with anyio.CancelScope(shield=True):
                await template.close()

    async def _exchange_or_stay(self, bundle: Bundle) -> None:
        """Serve another bundle; where that fails, it raises, and what was served before goes on."""
        old = self._bundle
        try:
            await self._exchange(bundle)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._exchange(old)
            raise

    async def _exchange(self, bundle: Bundle) -> None:
        """Serve another bundle's functions and triggers from now on."""
        old, self._bundle = self._bundle, bundle
        self._open(bundle)
        if self._works_off:
            await self.delivery.serve(bundle.manifest)
        await self._triggers.serve_anew(old.manifest)

    async def close(self) -> None:
        """Take no more in, and let what runs finish for at most `grace` seconds; the rest stays in the queues.

        Queues that end with this process are worked off within that time.
        """
        with anyio.move_on_after(self.settings.grace) as grace:
            await self._triggers.stop("fed")
            if not self.engine.durable:
                await self.drained()
            await self._triggers.stop("all")
            await self.delivery.finish(self.settings.grace)
        if grace.cancelled_caught:
            self._tasks.start_soon(self._triggers.tell_who_does_not_end)

    async def end(self) -> None:
        """End the pollers, which give back what they hold, then the environments and templates."""
        self._closed = True
        self.delivery.end()
        with anyio.CancelScope(shield=True):
            await self.delivery.ended()  # So that what ran was cancelled, and not ended with its environment.
            await self.pool.close()
            await self._bundle.close()
            await self._tell_what_is_lost()

    async def _tell_what_is_lost(self) -> None:
        """Say which queues still hold messages in the memory of this process."""
        fleeting = [engine for engine in engines_in(self.engine).values() if isinstance(engine, MemoryEngine)]
        lost = {
            name: (await engine.queue(name).statistics()).total for engine in fleeting for name in await engine.queues()
        }
        each = ", ".join(f"{name} ({count})" for name, count in lost.items() if count)
        if each:
            told = "app %r ends, and with it what waited in memory: %s; an engine that is durable would keep it"
            log.warning(told, self.manifest.app, each)

    async def revive(self) -> None:
        """Start another template whenever one died, until cancelled."""
        while True:
            await self._died.wait()
            self._died = anyio.Event()
            log.warning("the template of app %r died; starting another", self.manifest.app)
            await self._bundle.sweep()
            delay = REVIVAL_DELAY
            while self._bundle.has_ended():
                try:
                    await self.reload()
                except (FnframeError, OSError) as error:
                    text = "the template of app %r died and it cannot be imported now: %s; trying again in %.0f s"
                    log.error(text, self.manifest.app, error, delay)  # noqa: TRY400
                    self.pool.refuse(f"the template died and the app cannot be imported: {error}")
                    await anyio.sleep(delay)
                    delay = min(2 * delay, LONGEST_REVIVAL_DELAY)

    def _template_died(self) -> None:
        self._died.set()

    def _open(self, bundle: Bundle) -> None:
        for template in bundle.templates:
            template.died = self._template_died
        limits = bundle.manifest.limits
        inline = Inline(bundle.app, limits) if bundle.app is not None else None

        def environments(function: Function) -> Environments:
            return inline if function.isolation == "inline" and inline is not None else self.pool

        self.dispatcher.serve(bundle.manifest, environments)
        self.pool.open(bundle.lanes, limits)

    def check_running(self) -> None:
        """Raises `NotRunning` after the end."""
        if self._closed:
            raise NotRunning(
                f"the app {self.manifest.app!r} has ended; use it inside `async with app.run() as running:`"
            )


def asked(data: Any, event: Event | None, payload: bytes | None) -> tuple[Event, str]:
    """What a caller who waits asked for: its event, or one made for its data, and the id of the request."""
    if event is not None:
        _refuse_several(data, payload, event)
        return event, new_id()
    event = _direct_event(data, payload)
    # The only attempt at an event of our own making bears its id: one less to make and to follow.
    return event, event.id


def _refuse_several(*given: Any) -> None:
    if sum(each is not None for each in given) > 1:
        raise TypeError("give one of them: data, payload, or a whole event")


def _direct_event(data: Any, payload: bytes | None) -> Event:
    if payload is not None:
        _refuse_several(data, payload)
    return Event(
        id=new_id(),
        source="direct",
        type="fnframe.direct",
        time=now(),
        data=encode_json(data) if payload is None else payload,
    )
