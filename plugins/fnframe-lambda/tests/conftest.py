from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fnframe_lambda import endpoint
from lambda_client import Aws

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


@pytest.fixture(scope="session")
def made_app(tmp_path_factory):
    """The folder of an app for the control plane, with an engine of its own."""
    return Path(shutil.copytree(APPS / "made", tmp_path_factory.mktemp("made") / "app"))


@pytest.fixture(scope="session")
def aws(made_app):
    """A client of that app, served to all tests: each makes functions of its own."""
    with endpoint(str(made_app), {"lambda.retry_delays": "[]", "retry_base": 0.01, "retry_cap": 0.05}) as served:
        yield Aws(served, made_app)
