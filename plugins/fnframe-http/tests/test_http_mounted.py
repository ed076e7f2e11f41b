"""Mounted in other people's applications, on asyncio and trio."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import fnframe_http
import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from fnframe import App, ConfigurationError
from fnframe.environment.target import load_app

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def app(kit: Any) -> Any:
    return load_app(str(kit.APPS / "small.py"))


def in_fastapi(app: Any) -> Any:
    api = FastAPI(lifespan=fnframe_http.lifespan(app))
    api.mount("/fn", fnframe_http.asgi(app))
    return api


def in_starlette(app: Any) -> Any:
    return Starlette(routes=[Mount("/fn", fnframe_http.asgi(app))], lifespan=fnframe_http.lifespan(app))


def as_servers_of_old(app: Any) -> Any:
    """The prefix is taken off the path, as Starlette did before 0.33."""
    inner = fnframe_http.asgi(app)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": "/fn", "path": scope["path"].removeprefix("/fn")}
        await inner(scope, receive, send)

    return outer


@contextlib.asynccontextmanager
async def lived(application: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Let an ASGI application live as a server would, and give a client of it."""
    to_app, for_app = anyio.create_memory_object_stream[Any](2)
    said, heard = anyio.create_memory_object_stream[Any](2)
    async with to_app, for_app, said, heard, anyio.create_task_group() as tasks:
        tasks.start_soon(application, {"type": "lifespan", "asgi": {"version": "3.0"}}, for_app.receive, said.send)
        await to_app.send({"type": "lifespan.startup"})
        started = await heard.receive()
        assert started == {"type": "lifespan.startup.complete"}, started
        transport = httpx2.ASGITransport(application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
        await to_app.send({"type": "lifespan.shutdown"})
        assert (await heard.receive()) == {"type": "lifespan.shutdown.complete"}


@pytest.mark.parametrize("mounted", [in_fastapi, in_starlette, as_servers_of_old])
async def test_mounted_under_a_prefix(app: Any, mounted: Any) -> None:
    async with lived(mounted(app)) as client:
        told = (await client.get("/fn/hello/you")).json()
        assert told == {"hello": "you", "path": "/hello/you", "root_path": "/fn"}
        assert (await client.post("/fn/echo", json=[1])).json() == [1]
        assert (await client.post("/fn/", json=2)).json() == 2
        assert (await client.get("/fn/nothing")).json()["errorMessage"] == "no function has the path /nothing"
        assert (await client.get("/fn/healthz")).status_code == 200
        assert (await client.head("/fn/hello/you")).status_code == 200


@pytest.mark.parametrize("prefix", ["", "/"])
async def test_mounted_at_the_root(app: Any, prefix: str) -> None:
    routes = [Mount(prefix, fnframe_http.asgi(app))]
    async with lived(Starlette(routes=routes, lifespan=fnframe_http.lifespan(app))) as client:
        assert (await client.get("/hello/you")).json() == {"hello": "you", "path": "/hello/you", "root_path": ""}


async def test_by_itself_it_lives_with_its_own_lifespan(app: Any) -> None:
    async with lived(fnframe_http.asgi(app)) as client:
        assert (await client.post("/echo", json=[1])).json() == [1]
    assert app.running is None


async def test_an_inline_function_runs_in_the_host(app: Any) -> None:
    async with lived(in_starlette(app)) as client:
        assert (await client.get("/fn/inline")).json() == os.getpid()


async def test_routes_follow_a_reload(app: Any) -> None:
    async with lived(in_starlette(app)) as client:
        assert (await client.get("/fn/hello/you")).status_code == 200
        await app.running.reload()
        assert (await client.get("/fn/hello/you")).status_code == 200


async def test_a_lifespan_that_was_forgotten_is_told(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    api = FastAPI()
    api.mount("/fn", fnframe_http.asgi(app))
    transport = httpx2.ASGITransport(api)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        with caplog.at_level(logging.ERROR):
            answers = [await client.get("/fn/hello/you") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 503]
    problem = answers[0].json()
    assert problem["errorType"] == "NotRunning"
    assert "FastAPI(lifespan=fnframe_http.lifespan(app))" in problem["errorMessage"]
    assert [record.message for record in caplog.records if record.name == "fnframe.http"] == [problem["errorMessage"]]


async def test_inside_a_lifespan_of_ones_own(app: Any) -> None:
    @contextlib.asynccontextmanager
    async def own(api: Any) -> AsyncIterator[None]:
        async with fnframe_http.lifespan(app)(api):
            yield

    api = FastAPI(lifespan=own)
    api.mount("/fn", fnframe_http.asgi(app))
    async with lived(api) as client:
        assert (await client.post("/fn/echo", json=1)).json() == 1


async def test_a_start_that_fails_is_told_to_the_server() -> None:
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        said.append(message)

    with pytest.raises(ConfigurationError):
        await fnframe_http.asgi(App("empty"))({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in said] == ["lifespan.startup.failed"]
    assert "defines no App named 'empty' at its top level" in said[0]["message"]


async def test_a_client_that_goes_away_ends_its_invocation(app: Any) -> None:
    """The environment is gone, so the next invocation of the function is a cold start."""
    async with lived(in_starlette(app)), contextlib.AsyncExitStack():
        sent: list[Any] = []
        messages = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/waits", "query_string": b"", "headers": []}
        with anyio.fail_after(10):
            await fnframe_http.asgi(app)(scope, receive, send)
        assert sent == []


async def test_a_web_socket_is_refused(app: Any) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await fnframe_http.asgi(app)({"type": "websocket"}, None, send)  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_in_somebodys_own_uvicorn(app: Any, http: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(in_fastapi(app), http=http, ws="none", log_config=None)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
                assert (await client.post("/fn/echo", json=[1])).json() == [1]
            server.should_exit = True


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_stand_alone_server_says_that_it_needs_asyncio(app: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"runs on trio: mount fnframe_http\.asgi\(app\)"):
        async with app.run():
            raise AssertionError("it started")
