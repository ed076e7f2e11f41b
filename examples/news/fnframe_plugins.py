"""The example's own server of feeds runs as long as the app: a plugin that needs no packaging."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
from server import FeedServer

from fnframe import ConfigurationError, hookimpl
from fnframe.lifespan import Lifespan, RunningApp


@hookimpl
def fnframe_lifespan(running: RunningApp) -> Lifespan:
    return _serving(int(os.environ.get("NEWS_PORT", "8099")))


@asynccontextmanager
async def _serving(port: int) -> AsyncIterator[None]:
    try:
        server = FeedServer(port)
    except OSError as error:
        problem = f"the feeds cannot be served on port {port} ({error.strerror}): set NEWS_PORT to another"
        raise ConfigurationError(problem) from None
    server.start()
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.shutdown)
        server.server_close()
