"""What is deployed, and an app to deploy."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

DEPLOY = Path(__file__).parents[2] / "deploy"

APP = """
import time
from pathlib import Path

from fnframe import App
from fnframe_http import Http

app = App("shop")


@app.function(Http("GET /wait"), timeout=20)
def wait() -> str:
    print("waiting")
    while not Path("let-go").exists():
        time.sleep(0.005)
    return "done"


@app.function(Http("POST /orders", "async"), timeout=20)
def order() -> None:
    wait()
"""


@pytest.fixture
def shop(tmp_path):
    """The folder of an app whose functions return when `let-go` lies in the folder above it."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    return folder


@pytest.fixture(scope="session")
def deploy():
    return DEPLOY


@pytest.fixture(scope="session")
def dockerfile():
    return DockerfileParser(fileobj=io.BytesIO((DEPLOY / "docker" / "Dockerfile").read_bytes()))


@pytest.fixture(scope="session")
def ask():
    """GET, or POST where there is data; the body of the answer."""

    def ask(url, data=None):
        with urllib.request.urlopen(url, data, timeout=20) as answer:  # noqa: S310  of the test's own
            return answer.read().decode()

    return ask
