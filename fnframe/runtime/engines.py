"""Which engine an app has: what the settings name, made by what core and plugins bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..destination import masked
from ..engine.memory import memory_engine
from ..engine.protocol import EngineOptions
from ..engine.routed import RoutedEngine
from ..errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from ..clock import Clock
    from ..engine.protocol import Engine, EngineFactory
    from .config import Settings
    from .plugins import Plugins

DURABLE = "sqlite:///.fnframe/engine.db"
"""Where events wait under `fnframe run` and `dev` unless the settings name another engine."""

DISTRIBUTIONS = {"sqlite": "fnframe-sqlite"}
"""What to install for an engine that is not there."""


def engine_of(settings: Settings, plugins: Plugins, directory: Path, clock: Clock) -> Engine:
    """The engine that the settings name, to be entered. Raises `ConfigurationError` with the place of the setting."""
    factories = engine_factories(plugins)
    options = EngineOptions(
        directory=directory,
        clock=clock,
        queue_bound=settings.queue_bound,
        stream_partitions=settings.stream_partitions,
        stream_retention=settings.stream_retention,
        stream_records=settings.stream_records,
    )
    made: dict[str, Engine] = {}

    def engine_at(url: str, key: str) -> Engine:
        if url not in made:
            try:
                made[url] = factory_of(url, factories, plugins)(url, options)
            except ConfigurationError as error:
                raise ConfigurationError(error.problem, where=settings.sources.get(key)) from None
        return made[url]

    home = engine_at(settings.engine, "engine")
    others = {name: engine_at(url, f"engines.{name}") for name, url in settings.engines.items()}
    return RoutedEngine(home, others) if others else home


def engines_in(engine: Engine) -> dict[str, Engine]:
    """The engines of an app, each by a name that the next run has for it too."""
    return engine.by_name() if isinstance(engine, RoutedEngine) else {"home": engine}


def durable_url(plugins: Plugins) -> str:
    """The URL of a durable engine beside the app; that of the memory where no plugin brings one."""
    return DURABLE if "sqlite" in engine_factories(plugins) else "memory:"


def engine_factories(plugins: Plugins) -> dict[str, EngineFactory]:
    """What makes engines, by scheme. Raises `ConfigurationError` that names plugins which disagree."""
    factories: dict[str, EngineFactory] = {"memory": memory_engine}
    owners = {"memory": "fnframe"}
    for implementation in plugins.implementations("fnframe_register_engines"):
        plugin = implementation.plugin_name
        label = f"plugin {plugin}: fnframe_register_engines"
        try:
            brought = cast("Any", implementation.function()) or {}
        except Exception as error:
            raise ConfigurationError(f"{label} failed: {type(error).__name__}: {error}") from error
        if not isinstance(brought, dict) or not all(map(callable, brought.values())):
            raise ConfigurationError(f"{label} must return what makes engines by scheme, found {brought!r}")
        for scheme, factory in brought.items():
            if scheme in factories:
                problem = f"two plugins bring an engine for {scheme}: URLs: {owners[scheme]} and {plugin}"
                raise ConfigurationError(f"{problem}; remove one of them")
            factories[scheme], owners[scheme] = factory, plugin
    return factories


def factory_of(url: str, factories: dict[str, EngineFactory], plugins: Plugins) -> EngineFactory:
    """What makes the engine of this URL. Raises `ConfigurationError` that says which there are."""
    scheme, colon, _ = url.partition(":")
    if colon and scheme in factories:
        return factories[scheme]
    broken = [found for found in plugins.found if found.name == scheme and found.problem]
    if broken:
        hint = f"; the plugin {broken[0].distribution or scheme} cannot be used: {broken[0].problem}"
    elif scheme in DISTRIBUTIONS:
        hint = f": install {DISTRIBUTIONS[scheme]}"
    else:
        hint = nearest(f"{scheme}:", [f"{known}:" for known in factories])
    shown = masked(url) if "@" in url else url
    there = ", ".join(f"{known}:" for known in sorted(factories))
    raise ConfigurationError(f"no engine for the URL {shown!r}{hint}; there is {there}")
