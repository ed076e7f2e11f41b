"""What pytest gets from an installed fnframe: fixtures that close what a test forgot, and fail it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRELUDE = """
import subprocess, sys
import pytest
from fnframe import App

app = App("small")


@app.function(retries=0)
async def echo(event):
    return event


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""


@pytest.fixture
def suite(tmp_path):
    """Run pytest on a test module of this source; its output and status."""

    def suite(source, *options):
        (tmp_path / "test_small.py").write_text(PRELUDE + source)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options]
        environ = os.environ | {"PYTEST_ADDOPTS": ""}
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=150, check=False
        )
        return done.stdout + done.stderr, done.returncode

    return suite


def test_a_test_that_uses_the_client_passes(suite):
    output, status = suite("""
@pytest.mark.anyio
async def test_echo(app_client):
    client = await app_client(app)
    assert (await client.invoke("echo", {"a": 1})).unwrap() == {"a": 1}
""")
    assert status == 0, output
    assert "2 passed" in output


def test_what_is_forgotten_fails_the_test(suite):
    output, status = suite("""
@pytest.mark.anyio
async def test_undone(app_client):
    client = await app_client(app, retry_base=60)
    client.faults.refuse("echo", retry_after=60)
    await client.enqueue("echo", 1)


@pytest.mark.anyio
async def test_unmet(app_client):
    client = await app_client(app)
    client.faults.drop_acknowledgement("echo")
""")
    assert status == 1, output
    assert output.count("what is not done yet is 1 in 'echo': call `await client.drained()`") >= 2
    assert output.count("the fault of 1 acknowledgement(s) of 'echo' was never met") >= 2
    assert "4 errors" in output


def test_what_is_left_running_is_ended_and_fails_the_test(suite):
    output, _ = suite(
        """
@pytest.mark.usefixtures("nothing_left")
def test_leaves_a_process():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


@pytest.mark.usefixtures("nothing_left")
def test_leaves_nothing():
    with app.run_in_thread() as running:
        assert running.invoke("echo", 1).unwrap() == 1


def test_is_not_asked():
    pass
"""
    )
    assert "1 error" in output, output
    assert "the test left behind: the process " in output
    assert "time.sleep(60)" in output


def test_nothing_is_imported_before_a_fixture_is_used(suite):
    output, status = suite(
        """
def test_loaded():
    before = set(sys.modules)
    assert not {name for name in before if name.startswith(("fnframe.runtime", "fnframe.dispatch", "fnframe.testing."))
                and name != "fnframe.testing.pytest_plugin"}
""".replace("from fnframe import App", ""),
        "-p",
        "no:anyio",
    )
    assert status == 0, output
