"""An app's engine alone: for who looks into it, or sends something, while the app runs elsewhere or not at all."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..clock import SystemClock
from ..environment.target import directory_of
from ..errors import ConfigurationError
from .config import load_settings
from .engines import durable_url, engine_of, engines_in
from .plugins import load_plugins

if TYPE_CHECKING:
    from ..engine.protocol import Engine
    from ..sending import Target
    from .config import Settings


@asynccontextmanager
async def open_engine(
    target: str, *, settings: Mapping[str, Any] = {}, of: Target | None = None
) -> AsyncIterator[Engine]:
    """Open the engine that the app's settings name, or the one `of` a queue or stream, without importing the app.

    Raises `ConfigurationError` for an engine that is in the memory of the process which runs the app.
    """
    directory = directory_of(target)
    plugins = load_plugins(directory)
    chosen = load_settings(directory, plugins.settings_types, settings, os.environ)
    if "engine" not in chosen.sources:
        chosen = replace(chosen, engine=durable_url(plugins))  # As `fnframe run` does.
    if of is not None:
        chosen = _only(chosen, of)
    engine = engine_of(chosen, plugins, directory, SystemClock())
    if not any(each.durable for each in engines_in(engine).values()):
        raise ConfigurationError(
            f"the engine of {of or 'this app'} is {chosen.engine!r}: what is in it ends with the process that runs the "
            "app, so there is nothing to see or to send to from outside; a durable one is engine = 'sqlite:///...'",
            where=chosen.sources.get("engine"),
        )
    async with engine:
        yield engine


def _only(settings: Settings, of: Target) -> Settings:
    """The settings as if the engine of this queue or stream were the only one."""
    own = settings.engines.get(str(of))
    if own is None:
        return replace(settings, engines={})
    sources = {**settings.sources, "engine": settings.sources[f"engines.{of}"]}
    return replace(settings, engine=own, engines={}, sources=sources)
