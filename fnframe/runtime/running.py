"""The running app: where configuration, plugins, template, pool, dispatcher, engine and triggers meet."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec

from ..clock import Clock, SystemClock
from ..dispatch.destinations import Destinations
from ..dispatch.dispatcher import Dispatcher, Environments
from ..dispatch.invocation import Invocation
from ..dispatch.poller import Envelope, Poller, RetryPolicy, encode_envelope
from ..dispatch.verdict import Judge
from ..engine.memory import MemoryEngine
from ..environment.inline import Inline
from ..environment.pool import Pool
from ..environment.process import raise_descriptor_limit
from ..environment.readiness import Readiness
from ..environment.target import directory_of
from ..environment.wire import Ack, Send
from ..errors import ConfigurationError, FnframeError, NotRunning, PayloadTooLarge, RecursionStopped
from ..event import Event, encode_json, new_id, now
from ..function import Function
from ..trigger import Trigger, kind_of
from .bundle import Bundle, Source, source_of, start_bundle
from .config import Settings, load_settings
from .mapping import BoundMapping
from .plugins import Plugins, load_plugins

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ..app import App
    from ..engine.protocol import Engine
    from ..function import Manifest
    from ..outcome import Outcome

log = logging.getLogger("fnframe")

Serve = Literal["all", "backlog", "none"]


class Running:
    """An app that runs: made by `app.run()` or `run_target()`."""

    def __init__(
        self, bundle: Bundle, plugins: Plugins, settings: Settings, engine: Engine, pool: Pool, tasks: TaskGroup,
        *, source: Source, embedded: App | None, mounted: frozenset[str], readiness: Readiness, clock: Clock,
        debug: bool,
    ) -> None:  # fmt: skip
        self.plugins = plugins
        self.settings = settings
        self.engine = engine
        self.debug = debug
        self._bundle = bundle
        self._source = source
        self._embedded = embedded
        self._mounted = mounted
        self._readiness = readiness
        self._clock = clock
        self.pool = pool
        self._tasks = tasks
        self._pollers: dict[str, anyio.CancelScope] = {}
        self._settled = plugins.observer("fnframe_event_settled")
        self._changed = anyio.Event()
        self._serving: dict[str, _Service] = {}
        self._which: Serve = "none"
        self._closed = False
        self.dispatcher = Dispatcher(
            Judge(platform.node()),
            self.deliver,
            plugins.observer("fnframe_invocation_started"),
            plugins.observer("fnframe_invocation_reported"),
        )
        hear = plugins.observer("fnframe_invocation_output")
        if hear is not None:
            pool.hear = lambda call, name, data: hear(
                request_id=call.request_id if call is not None else "",
                function=self.dispatcher.function(name),
                data=data,
            )
        self._destinations = Destinations(Path(bundle.manifest.directory), self._to_destination)
        self._open(bundle)

    @property
    def manifest(self) -> Manifest:
        """The app's functions and triggers, as they are served now."""
        return self._bundle.manifest

    @property
    def started(self) -> list[tuple[str, str]]:
        """Function and what its trigger said when it was ready, for each mapping that is served."""
        return [each for service in self._serving.values() for each in service.started]

    def mappings(self, kind: type[Trigger]) -> list[BoundMapping]:
        """The event source mappings of one type of trigger, in the order of the app's declarations."""
        settings = self.settings.triggers.get(kind_of(kind)) or kind.Settings()
        return [
            BoundMapping(self, function, msgspec.json.decode(spec.fields, type=kind), settings)
            for function in self.manifest.functions
            for spec in function.triggers
            if spec.kind == kind_of(kind)
        ]

    async def invoke(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> Outcome:
        """Run a function and wait for its outcome, a `Success` or a `Failure` with its report.

        Give `data` (anything that encodes to JSON), or `payload` (JSON, encoded), or a whole `event`.
        Raises `FunctionNotFound`, and `NotRunning` after the end; cancelling the call ends the invocation.
        """
        self.check_running()
        return await self.dispatcher.invoke(function, direct_invocation(data, event, payload))

    async def enqueue(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> str:
        """Accept an event for an asynchronous invocation and return its id; fnframe runs and retries it.

        Raises `FunctionNotFound`, `QueueFull`, `PayloadTooLarge`, `RecursionStopped`, and `NotRunning` after the end.
        """
        event = event or _direct_event(data, payload)
        await self.accept(function, event, trigger="direct")
        return event.id

    async def accept(self, function: str, event: Event, *, trigger: str) -> bool:
        """Put an event into the queue of a function's asynchronous invocations; False for a duplicate id."""
        self.check_running()
        limits = self.manifest.limits
        self.dispatcher.function(function)
        if len(event.data) > limits.asynchronous_payload:
            raise PayloadTooLarge(function, len(event.data), limits.asynchronous_payload)
        if event.depth > limits.depth:
            raise RecursionStopped(function, event.depth)
        body = encode_envelope(Envelope(event, new_id(), trigger))
        # CloudEvents promise that source and id together are unique, not that an id is.
        accepted = await self.engine.queue(_queue_name(function)).send(f"{event.source} {event.id}", body)
        self._poll(function)
        return accepted

    async def drained(self) -> None:
        """Wait until no asynchronous event waits or runs, retries included."""
        while True:
            self._changed = changed = anyio.Event()
            if not await self.engine.queues():
                return
            await changed.wait()

    async def reload(self) -> Manifest:
        """Serve the code as it is now; what runs ends in the old. Broken, it raises and the old goes on."""
        bundle = await start_bundle(self._source, self._readiness, self._embedded)
        old = self._bundle
        try:
            await self._exchange(bundle)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._exchange(old.again())
                await bundle.close()
            raise
        try:
            await self.pool.left()
        finally:
            await old.close()
        return bundle.manifest

    async def _exchange(self, bundle: Bundle) -> None:
        """Serve another bundle's functions and triggers from now on."""
        old, self._bundle = self._bundle, bundle
        self._open(bundle)
        await self._serve_anew(old.manifest)

    async def serve(self, which: Serve) -> None:
        """Start the triggers: all, or those whose events can wait outside. Returns when they are ready."""
        self._which = which
        for kind in sorted(_specs_by_kind(self.manifest)):
            await self._serve_kind(kind)

    async def close(self) -> None:
        """Stop the triggers and drain for at most `grace` seconds; what is left stays in the queues."""
        serving = list(self._serving.values())
        for service in serving:
            service.scope.cancel()
        with anyio.move_on_after(self.settings.grace):
            for service in serving:
                await service.ended.wait()  # They answer what they accepted.
            await self.drained()

    async def end(self) -> None:
        """End the pollers, which give back what they hold, then the environments and templates."""
        self._closed = True
        for scope in self._pollers.values():
            scope.cancel()
        with anyio.CancelScope(shield=True):
            await self.pool.close()
            await self._bundle.close()

    async def _serve_kind(self, kind: str) -> None:
        if kind in self._mounted:
            return
        type_ = self._trigger_type(kind)
        if self._which == "all" or (self._which == "backlog" and type_.has_backlog):
            await self._tasks.start(self._run_triggers, type_)

    async def _run_triggers(self, type_: type[Trigger], *, task_status: anyio.abc.TaskStatus[None]) -> None:
        mappings = self.mappings(type_)
        self._serving[kind_of(type_)] = service = _Service()
        try:
            with service.scope:
                async with anyio.create_task_group() as tasks:
                    texts = await tasks.start(_run_all, type_, mappings)
                    names = [mapping.function.name for mapping in mappings]
                    service.started = list(zip(names, map(str, texts), strict=True))
                    task_status.started()
        except BaseExceptionGroup as group:
            raise _only(group) from None
        finally:
            if self._serving.get(kind_of(type_)) is service:
                del self._serving[kind_of(type_)]
            service.ended.set()

    async def _serve_anew(self, old: Manifest) -> None:
        """Restart the triggers of the kinds whose mappings a reload changed."""
        before, after = _specs_by_kind(old), _specs_by_kind(self.manifest)
        for kind in sorted({*before, *after}):
            service = self._serving.get(kind)
            if service is not None and before.get(kind) == after.get(kind):
                continue
            if service is not None:
                service.scope.cancel()
                await service.ended.wait()  # What it holds, a port say, its successor needs.
            if kind in after:
                await self._serve_kind(kind)

    def _template_died(self) -> None:
        self._tasks.start_soon(self._revive)

    async def _revive(self) -> None:
        log.warning("the template of app %r died; starting another", self.manifest.app)
        try:
            await self.reload()
        except ConfigurationError as error:
            log.error("app %r cannot be imported any more: %s", self.manifest.app, error)  # noqa: TRY400
            self.pool.refuse(f"the template died and the app cannot be imported any more: {error}")

    def _open(self, bundle: Bundle) -> None:
        for template in bundle.templates:
            template.died = self._template_died
        limits = bundle.manifest.limits
        inline = Inline(bundle.app, limits.response_payload) if bundle.app is not None else None

        def environments(function: Function) -> Environments:
            return inline if function.isolation == "inline" and inline is not None else self.pool

        self.dispatcher.serve(bundle.manifest, environments)
        self.pool.open(bundle.lanes, limits.response_payload)

    def _trigger_type(self, kind: str) -> type[Trigger]:
        type_ = self.plugins.trigger_types.get(kind) or self._embedded_type(kind)
        if type_ is not None:
            return type_
        function = next(f for f in self.manifest.functions for spec in f.triggers if spec.kind == kind)
        known = ", ".join(sorted(self.plugins.trigger_types)) or "none"
        raise ConfigurationError(
            f"function {function.name!r} has a trigger of the kind {kind!r}, which no installed plugin registers "
            f"(registered: {known}). Install its plugin; for a trigger of your own, register it in fnframe_plugins.py "
            "beside the app: def fnframe_register_triggers(): return [YourTrigger]",
            where=function.where,
        )

    def _embedded_type(self, kind: str) -> type[Trigger] | None:
        app = self._bundle.app
        triggers = [trigger for d in app.definitions.values() for trigger in d.triggers] if app is not None else []
        return next((type(trigger) for trigger in triggers if kind_of(trigger) == kind), None)

    def _poll(self, function: str) -> None:
        if function in self._pollers:
            return
        reserved = self.dispatcher.function(function).reserved_concurrency
        poller = Poller(
            function,
            self.engine.queue(_queue_name(function)),
            self.dispatcher,
            self._destinations,
            self._clock,
            policy=RetryPolicy(self.settings.retry_base, self.settings.retry_cap),
            concurrency=max(1, min(reserved or 1_000, 2 * self.pool.max_environments)),
            settled=self._settled,
            changed=self._tell_change,
        )
        self._pollers[function] = scope = anyio.CancelScope()
        self._tasks.start_soon(_run_within, scope, poller)

    async def resume(self) -> None:
        """Begin to work on what waits in the engine from before."""
        for name in await self.engine.queues():
            function = name.removeprefix("function:")
            if any(known.name == function for known in self.manifest.functions):
                self._poll(function)

    async def deliver(self, invocation: Invocation, send: Send) -> Ack:
        """Hand over an event that a handler sent from inside; its id makes a retry repeat rather than multiply."""
        cause = invocation.event
        event = Event(
            id=f"{cause.id}:{send.function}:{send.number}",
            source=f"app:{self.manifest.app}",
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

    async def _to_destination(self, function: str, event: Event) -> None:
        await self.accept(function, event, trigger="destination")

    def _tell_change(self) -> None:
        self._changed.set()

    def check_running(self) -> None:
        if self._closed:
            raise NotRunning(
                f"the app {self.manifest.app!r} has ended; use it inside `async with app.run() as running:`"
            )


class _Service:
    """The running triggers of one kind."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.started: list[tuple[str, str]] = []


@asynccontextmanager
async def run_target(
    target: str,
    *,
    settings: Mapping[str, Any] = {},
    serve: Serve = "all",
    plugins: Sequence[object] = (),
    debug: bool = False,
    state_file: Path | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Running]:
    """Run an app that this process does not import. Raises `ImportFailed` or `ConfigurationError` at start.

    `settings` win over fnframe.toml and the environment; `plugins` are registered for this run; `state_file` keeps
    queues and state of the memory engine from one clean run to the next; `clock` is the time of retries and leases.
    """
    source = Source(target)
    async with _run(
        source,
        directory_of(target),
        settings=settings,
        serve=serve,
        plugins=plugins,
        debug=debug,
        state_file=state_file,
        clock=clock,
    ) as running:
        yield running


@asynccontextmanager
async def run_app(
    app: App,
    *,
    target: str | None,
    mounted: tuple[type[Trigger], ...],
    plugins: Sequence[object],
    settings: Mapping[str, Any],
) -> AsyncIterator[Running]:
    """Run an app in the process that declared it; see `App.run`."""
    if app.running is not None:
        raise ConfigurationError(f"the app {app.name!r} runs already in this process")
    app.manifest()
    source = source_of(app, target)
    async with _run(source, app.directory, settings=settings, plugins=plugins, app=app, mounted=mounted) as running:
        app.running = running
        try:
            yield running
        finally:
            app.running = None


@asynccontextmanager
async def _run(
    source: Source,
    directory: Path,
    *,
    settings: Mapping[str, Any],
    serve: Serve = "all",
    plugins: Sequence[object] = (),
    debug: bool = False,
    state_file: Path | None = None,
    clock: Clock | None = None,
    app: App | None = None,
    mounted: tuple[type[Trigger], ...] = (),
) -> AsyncIterator[Running]:
    raise_descriptor_limit()
    loaded = load_plugins(directory, plugins)
    types = dict(loaded.trigger_types)
    if app is not None:
        types.update({kind_of(t): type(t) for d in app.definitions.values() for t in d.triggers})
    chosen = load_settings(directory, types, settings, os.environ)
    clock = clock or SystemClock()
    root = Path(tempfile.mkdtemp(prefix="fnframe-"))
    try:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(
                MemoryEngine(bound=chosen.queue_bound, clock=clock, state_file=state_file)
            )
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            readiness = Readiness(tasks)
            bundle = await start_bundle(source, readiness, app)
            pool = Pool(
                root,
                max_environments=chosen.max_environments or 4 * (os.cpu_count() or 1),
                max_waiting=chosen.max_waiting,
                idle_timeout=chosen.idle_timeout,
            )
            running = Running(
                bundle,
                loaded,
                chosen,
                engine,
                pool,
                tasks,
                source=source,
                embedded=app,
                mounted=frozenset(map(kind_of, mounted)),
                readiness=readiness,
                clock=clock,
                debug=debug,
            )
            stack.push_async_callback(running.end)
            tasks.start_soon(pool.run)
            await running.resume()
            await running.serve(serve)
            yield running
            await running.close()
    except BaseExceptionGroup as group:
        raise _only(group) from None
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def _run_within(scope: anyio.CancelScope, poller: Poller) -> None:
    with scope:
        await poller.run()


async def _run_all(
    type_: type[Trigger], mappings: list[BoundMapping], *, task_status: anyio.abc.TaskStatus[Any]
) -> None:
    await type_.run_all(mappings, task_status=task_status)


def direct_invocation(data: Any, event: Event | None, payload: bytes | None) -> Invocation:
    """The invocation of a caller who waits: of its event, or of one made for its data."""
    if event is not None:
        return Invocation(event=event, request_id=new_id())
    event = _direct_event(data, payload)
    # The only attempt at an event of our own making bears its id: one less to make and to follow.
    return Invocation(event=event, request_id=event.id)


def _direct_event(data: Any, payload: bytes | None) -> Event:
    return Event(
        id=new_id(),
        source="direct",
        type="fnframe.direct",
        time=now(),
        data=encode_json(data) if payload is None else payload,
    )


def _queue_name(function: str) -> str:
    return f"function:{function}"


def _specs_by_kind(manifest: Manifest) -> dict[str, list[tuple[str, bytes]]]:
    specs: dict[str, list[tuple[str, bytes]]] = {}
    for function in manifest.functions:
        for spec in function.triggers:
            specs.setdefault(spec.kind, []).append((function.name, bytes(spec.fields)))
    return specs


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception of a group of one: the caller's own, or a trigger's, as it was raised."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
