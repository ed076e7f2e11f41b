from __future__ import annotations

from pathlib import Path

import pytest

from fnframe import hookimpl

APPS = Path(__file__).parent / "apps"


class Heard:
    """A plugin object that keeps what functions write, by request."""

    def __init__(self):
        self.output = {}

    @hookimpl
    def fnframe_invocation_output(self, request_id, function, data):
        key = request_id or function.name
        self.output[key] = self.output.get(key, b"") + data

    def of(self, outcome):
        return self.output.get(outcome.report.request_id, b"").decode()

    def of_init(self, function):
        """What its environments wrote while they began."""
        return self.output.get(function, b"").decode()


class Kit:
    """What the tests share, since test modules cannot import each other."""

    APPS = APPS
    SHOP = str(APPS / "shop" / "app.py")
    Heard = Heard


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="session")
def kit():
    return Kit
