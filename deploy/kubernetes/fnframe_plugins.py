"""Tells an autoscaler how much waits: `GET /` on a port of its own. A plugin of the app beside which this file lies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fnframe_http import Address, serve_application

from fnframe import hookimpl

if TYPE_CHECKING:
    from fnframe.lifespan import Lifespan, RunningApp


class DepthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[depth]` of fnframe.toml: where the depth of the app's queues is told; nowhere without a port."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None


@hookimpl
def fnframe_register_settings() -> dict[str, type[msgspec.Struct]]:
    return {"depth": DepthSettings}


@hookimpl
def fnframe_lifespan(running: RunningApp) -> Lifespan:
    return _lifespan(running)


@asynccontextmanager
async def _lifespan(running: RunningApp) -> AsyncIterator[None]:
    settings = running.settings_of("depth")
    if settings.port is not None:
        running.run_with_triggers(partial(_serve, running, Address(settings.host, settings.port, "depth")))
    yield


async def _serve(running: RunningApp, address: Address, *, task_status: Any) -> None:
    def tell(base: str) -> None:
        task_status.started(("depth", f"GET {base}/"))

    await serve_application(partial(_answer, running), address, 1.0, tell)


async def _answer(running: RunningApp, scope: Any, receive: Any, send: Any) -> None:
    """All queues of the engine: a replica that shares it tells the same. Retries that wait for their time do not count,
    since nobody could run them sooner."""
    queues = {name: held.waiting + held.leased for name, held in (await running.queue_statistics()).items()}
    body = msgspec.json.encode({"depth": sum(queues.values()), "queues": queues})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
