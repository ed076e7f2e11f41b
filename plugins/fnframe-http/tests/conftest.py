from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from fnframe.runtime.run import run_target

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    return "asyncio", {"use_uvloop": True}


@asynccontextmanager
async def serving(target: str, *, debug: bool = False, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve an app with its own server on a free port of loopback, as `fnframe run` does, and a client of it."""
    settings = {"http.port": 0, **{key.replace("__", "."): value for key, value in settings.items()}}
    async with (
        run_target(target, settings=settings, debug=debug) as running,
        httpx2.AsyncClient(base_url=url_of(running), trust_env=False, timeout=20) as client,
    ):
        yield client


def url_of(running: Any) -> str:
    _, text = running.started[0]
    return "/".join(text.split()[1].split("/")[:3])


async def until(fact: Any, seconds: float = 20.0) -> None:
    """Wait for a fact."""
    with anyio.fail_after(seconds):
        while not fact():
            await anyio.sleep(0.002)


class Kit:
    """What the tests share, since test modules cannot import each other."""

    APPS = APPS
    WEB = str(APPS / "web.py")
    SMALL = str(APPS / "small.py")
    serving = staticmethod(serving)
    url_of = staticmethod(url_of)
    until = staticmethod(until)


@pytest.fixture(scope="module")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture(scope="module")
async def web(anyio_backend: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app of apps/web.py, served once for a module: while such a fixture lives, anyio runs every test
    on its backend, so it must not outlive the module."""
    async with serving(str(APPS / "web.py")) as client:
        yield client
