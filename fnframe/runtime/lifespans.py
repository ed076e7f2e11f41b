"""What plugins add to a running app: their lifespans, and the services that these offer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    import pluggy

    from ..lifespan import Lifespan, RunningApp
    from .plugins import Plugins


@asynccontextmanager
async def lifespans(plugins: Plugins, running: RunningApp) -> AsyncIterator[dict[str, Any]]:
    """Enter the lifespans of all plugins; the services that they offer, by name.

    Raises `ConfigurationError` for a hook that gives no lifespan, and for a name that is none or is taken.
    """
    services: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        for implementation in plugins.implementations("fnframe_lifespan"):
            label = f"plugin {implementation.plugin_name}: fnframe_lifespan"
            offered = await stack.enter_async_context(_lifespan_of(implementation, running, label))
            if not isinstance(offered, Mapping | None):
                raise ConfigurationError(f"{label} must yield services by name, or nothing; found {offered!r}")
            for name in offered or {}:
                if not name.isidentifier() or name in services or hasattr(running, name):
                    raise ConfigurationError(f"{label} cannot bring running.{name}: this is there already, or no name")
            services.update(offered or {})
        yield services


def _lifespan_of(implementation: pluggy.HookImpl, running: RunningApp, label: str) -> Lifespan:
    lifespan = implementation.function(*[running for _ in implementation.argnames])
    if not isinstance(lifespan, AbstractAsyncContextManager):
        raise ConfigurationError(
            f"{label} must return an async context manager, as a function under @asynccontextmanager does; found "
            f"{lifespan!r}"
        )
    return lifespan
