"""Mounting an app's HTTP functions in FastAPI, Starlette or any other ASGI application."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from .problem import Problem
from .router import Router
from .service import answer
from .trigger import Http

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from fnframe import App, Manifest

log = logging.getLogger("fnframe.http")


def asgi(app: App) -> ASGIApp:
    """An ASGI application that serves the HTTP functions of `app`: `api.mount("/fn", fnframe_http.asgi(app))`.

    A mounted application does not get its host's lifespan, so give the host `fnframe_http.lifespan(app)`; without it
    every request is answered with 503 and a text that says so. Served by itself (`uvicorn module:application`) it
    starts and ends the app with its own lifespan.
    """
    return Application(app)


def lifespan(app: App, **settings: Any) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """What runs `app` while its host runs: `FastAPI(lifespan=fnframe_http.lifespan(app))`.

    For a host that has a lifespan of its own, enter this one in it: `async with fnframe_http.lifespan(app)(api):`.
    All triggers run; those of HTTP functions are served by the host, on no port of their own.
    `settings` are those of fnframe.toml and win over it.
    Raises `ConfigurationError` when the app cannot start as it is declared.
    """

    @asynccontextmanager
    async def run(host: Any) -> AsyncIterator[None]:
        async with app.run(mounted=[Http], **settings):
            yield

    return run


class Application:
    """See `asgi`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._manifest: Manifest | None = None
        self._router: Router | None = None
        self._told = False

    def __repr__(self) -> str:
        return f"<fnframe_http.asgi of {self._app!r}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await answer(scope, receive, send, self._routes)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise RuntimeError(f"an ASGI server of today has no scope of the type {scope['type']!r}")

    def _routes(self) -> Router:
        running = self._app.running
        if running is None:
            raise self._not_running()
        if self._router is None or self._manifest is not running.manifest:
            self._manifest, self._router = running.manifest, Router(running.mappings(Http))
        return self._router

    def _not_running(self) -> Problem:
        text = (
            f"the app {self._app.name!r} is not running: a mounted application does not get its host's lifespan. "
            "Give it to the host: FastAPI(lifespan=fnframe_http.lifespan(app)), or Starlette(..., "
            "lifespan=fnframe_http.lifespan(app))"
        )
        if not self._told:
            self._told = True
            log.error(text)
        return Problem(503, "NotRunning", text)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        begun = False
        try:
            async with lifespan(self._app)(self):
                begun = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            await send({"type": f"lifespan.{'shutdown' if begun else 'startup'}.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})
