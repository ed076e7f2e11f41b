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
from .engines import durable_url, engine_of
from .plugins import load_plugins

if TYPE_CHECKING:
    from ..engine.protocol import Engine


@asynccontextmanager
async def open_engine(target: str, *, settings: Mapping[str, Any] = {}) -> AsyncIterator[Engine]:
    """Open the engine that the app's settings name, without importing the app.

    Raises `ConfigurationError` for an engine that is in the memory of the process which runs the app.
    """
    directory = directory_of(target)
    plugins = load_plugins(directory)
    chosen = load_settings(directory, plugins.settings_types, settings, os.environ)
    if "engine" not in chosen.sources:
        chosen = replace(chosen, engine=durable_url(plugins))  # As `fnframe run` does.
    engine = engine_of(chosen, plugins, directory, SystemClock())
    if not engine.durable:
        raise ConfigurationError(
            f"the engine of this app is {chosen.engine!r}: what is in it ends with the process that runs the app, so "
            "there is nothing to see or to send to from outside; a durable one is engine = 'sqlite:///...'",
            where=chosen.sources.get("engine"),
        )
    async with engine:
        yield engine
