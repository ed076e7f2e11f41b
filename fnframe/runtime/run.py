"""From a target or an app to one that runs: settings, plugins, engine, template, pool and triggers, in this order."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from msgspec.structs import replace

from ..clock import Clock, SystemClock
from ..environment.descriptors import raise_limit
from ..environment.orphans import Root, sweep_abandoned
from ..environment.pool import Pool
from ..environment.readiness import Readiness
from ..environment.target import directory_of
from ..errors import ConfigurationError
from ..lifespan import Serves
from ..trigger import Trigger, kind_of
from .bundle import Bundle, Source, source_of, start_bundle
from .config import Settings, load_settings
from .engines import durable_url, engine_of
from .host_log import HostLog
from .lifespans import lifespans
from .plugins import Plugins, load_plugins
from .provided import Provided
from .running import Running
from .triggers import only

if TYPE_CHECKING:
    from ..app import App
    from ..function import StartMethod

StartBundle = Callable[[Source, Readiness, Provided, "App | None", "StartMethod | None"], Awaitable[Bundle]]
"""What makes the environments of an app ready: `start_bundle`, unless a test runs its functions in its own process."""


def run_target(
    target: str,
    *,
    settings: Mapping[str, Any] = {},
    serve: Serves = "all",
    plugins: Sequence[object] = (),
    debug: bool = False,
    durable: bool = False,
    clock: Clock | None = None,
) -> AbstractAsyncContextManager[Running]:
    """Run an app that this process does not import. Raises `ImportFailed` or `ConfigurationError` at start.

    `settings` win over fnframe.toml and the environment; `plugins` are registered for this run; `durable`: where the
    settings name no engine, events wait beside the app if a plugin brings an engine for that; `clock` is the time.
    """
    return _run(
        Source(target),
        directory_of(target),
        settings=settings,
        serve=serve,
        plugins=plugins,
        debug=debug,
        durable=durable,
        clock=clock,
    )


@asynccontextmanager
async def run_app(
    app: App,
    *,
    target: str | None,
    mounted: tuple[type[Trigger], ...],
    plugins: Sequence[object],
    settings: Mapping[str, Any],
    clock: Clock | None = None,
    start: StartBundle = start_bundle,
) -> AsyncIterator[Running]:
    """Run an app in the process that declared it; see `App.run`.

    `clock` is the time, and `start` makes the environments ready.
    """
    if app.running is not None:
        raise ConfigurationError(f"the app {app.name!r} runs already in this process")
    app.manifest()
    source = source_of(app, target)
    plugins = (HostLog(), *plugins)
    async with _run(
        source,
        app.directory,
        settings=settings,
        plugins=plugins,
        clock=clock,
        app=app,
        mounted=mounted,
        start=start,
    ) as running:
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
    serve: Serves = "all",
    plugins: Sequence[object] = (),
    debug: bool = False,
    durable: bool = False,
    clock: Clock | None = None,
    app: App | None = None,
    mounted: tuple[type[Trigger], ...] = (),
    start: StartBundle = start_bundle,
) -> AsyncIterator[Running]:
    raise_limit()
    loaded = load_plugins(directory, plugins)
    chosen = _settings(directory, loaded, app, settings, durable=durable)
    clock = clock or SystemClock()
    root = Root()
    try:
        async with AsyncExitStack() as stack:
            engine = await stack.enter_async_context(engine_of(chosen, loaded, directory, clock))
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            readiness = Readiness(tasks)
            provided = Provided(loaded.environment_providers, chosen.tables, root.path)
            bundle = await start(source, readiness, provided, app, chosen.start_method)
            stack.push_async_callback(bundle.close)  # Also where the app turns out not to fit.
            pool = Pool(
                root.path,
                max_environments=chosen.max_environments or 4 * processors(),
                max_waiting=chosen.max_waiting,
                idle_timeout=chosen.idle_timeout,
                clock=clock,
            )
            running = Running(
                bundle,
                loaded,
                chosen,
                engine,
                pool,
                tasks,
                source=source,
                serves=serve,
                embedded=app,
                mounted=frozenset(map(kind_of, mounted)),
                readiness=readiness,
                clock=clock,
                debug=debug,
                provided=provided,
            )
            stack.push_async_callback(running.end)
            running.services = await stack.enter_async_context(lifespans(loaded, running))
            running.listen()
            tasks.start_soon(pool.run)
            tasks.start_soon(pool.sweep)
            tasks.start_soon(running.revive)
            tasks.start_soon(_sweep_abandoned)
            await running.serve()
            yield running
            await running.close()
    except BaseExceptionGroup as group:
        error = only(group)
        raise error from error.__cause__
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(root.remove)


def _settings(
    directory: Path, plugins: Plugins, app: App | None, given: Mapping[str, Any], *, durable: bool
) -> Settings:
    """The settings of this run: those of an app in this process also have tables for triggers that no plugin brings."""
    tables = dict(plugins.settings_types)
    if app is not None:
        tables.update({kind_of(t): t.Settings for d in app.definitions.values() for t in d.triggers})
    chosen = load_settings(directory, tables, given, os.environ)
    if durable and "engine" not in chosen.sources:
        return replace(chosen, engine=durable_url(plugins))
    return chosen


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


async def _sweep_abandoned() -> None:
    await anyio.to_thread.run_sync(sweep_abandoned, abandon_on_cancel=True)
