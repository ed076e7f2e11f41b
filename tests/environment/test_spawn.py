"""Environments that are fresh interpreters: where the import left threads, and where they are asked for.

What comes of each kind of handler is in test_outcomes.py, for both ways.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from facts import live_pids, runs, until

from fnframe import Failure
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
SPAWN = {"start_method": "spawn"}

LEAVES_THREADS = """
import threading
import time
from pathlib import Path

from fnframe import App

lock = threading.Lock()
held = threading.Event()


def hold():
    with lock:
        held.set()
        while not Path(__file__).with_name("gate").exists():
            time.sleep(0.002)
    threading.Event().wait()


threading.Thread(target=hold, name="cache-refresher", daemon=True).start()
held.wait()
app = App("threads")


@app.function()
def names():
    return sorted(thread.name for thread in threading.enumerate())


@app.function()
def locks(seconds):
    return lock.acquire(timeout=seconds)
"""


@pytest.fixture
def anyio_backend():
    """It is the template that matters here."""
    return "asyncio"


def template_of(running) -> int:
    return running._bundle.templates[0]._process.pid


async def test_an_import_that_leaves_threads_is_not_forked(write_app, tmp_path, caplog):
    async with run_target(write_app(LEAVES_THREADS)) as running:
        assert running.manifest.start_method == "spawn"
        assert "importing app 'threads' left threads running (cache-refresher)" in caplog.text
        assert "each environment is a fresh interpreter" in caplog.text
        assert (await running.invoke("names")).unwrap() == ["MainThread", "cache-refresher"]
        assert (await running.invoke("locks", 0.01)).unwrap() is False
        (tmp_path / "gate").touch()
        assert (await running.invoke("locks", 2.0)).unwrap() is True
        assert len(list(Path(f"/proc/{template_of(running)}/task").iterdir())) == 1, "none of them is in the template"


async def test_on_wish_it_is_forked_all_the_same(write_app, tmp_path, caplog):
    async with run_target(write_app(LEAVES_THREADS), settings={"start_method": "fork"}) as running:
        assert "environments are forked without them, as start_method = 'fork' asks" in caplog.text
        assert (await running.invoke("names")).unwrap() == ["MainThread"]
        assert (await running.invoke("locks", 0.01)).unwrap() is False
        (tmp_path / "gate").touch()
        assert (await running.invoke("locks", 0.2)).unwrap() is False, "whoever holds it is not there"


CHANGES = """
import os
import signal
import sys

os.umask(0o777)
os.chdir("/")
os.environ["CHANGED"] = os.environ.get("CHANGED", "") + "once"
signal.signal(signal.SIGTERM, signal.SIG_IGN)

from fnframe import App

app = App("changes")


@app.function()
def state():
    umask = os.umask(0o777)
    return [os.getcwd(), umask, os.environ["CHANGED"], sys.argv, sorted(map(int, os.listdir("/proc/self/fd")))[:3]]
"""


async def test_each_environment_is_imported_as_the_template_was(write_app, tmp_path):
    """What the first import changed of its process is no part of what the next one finds."""
    path = write_app(CHANGES)
    states = []
    for method in ("fork", "spawn"):
        async with run_target(path, settings={"start_method": method}) as running:
            states.append((await running.invoke("state")).unwrap())
    assert states == [["/", 0o777, "once", [path], [0, 1, 2]]] * 2


FAILS_LATER = """
from pathlib import Path

from fnframe import App

app = App("fails-later")
if Path(__file__).with_name("broken").exists():
    raise ValueError("no database")


@app.function()
def pid():
    import os

    return os.getpid()
"""


async def test_an_import_that_fails_in_an_environment_is_told_to_who_waits_for_it(write_app, tmp_path):
    async with run_target(write_app(FAILS_LATER), settings={**SPAWN, "max_environments": 1}) as running:
        first = (await running.invoke("pid")).unwrap()
        lane = running.pool._lanes["pid"]
        await until(lambda: lane.templates.spare and lane.templates.spare.pid)
        (tmp_path / "broken").touch()
        spare = lane.templates.spare
        for pid in (first, spare.pid):
            os.kill(pid, signal.SIGKILL)
        # Else the next invocation may still be sent to one of them, and ends with it.
        await until(lambda: not running.pool._live and spare.reason)
        outcome = await running.invoke("pid")
        assert isinstance(outcome, Failure)
        assert (outcome.kind, outcome.error_type, outcome.message) == ("rejected", "ValueError", "no database")
        assert "app.py" in outcome.stack_trace[-1]
        (tmp_path / "broken").unlink()
        await until(lambda: not running.pool._live)
        while isinstance(outcome := await running.invoke("pid"), Failure):
            assert outcome.error_type == "ValueError", "a spare that was there already"
        assert outcome.unwrap() not in (first, spare.pid)


async def test_a_reload_imports_the_code_as_it_is_now(write_app, tmp_path):
    source = LEAVES_THREADS + "\n\n@app.function()\ndef version():\n    return 1\n"
    async with run_target(write_app(source)) as running:
        assert (await running.invoke("version")).unwrap() == 1
        before = [template_of(running), *await live_pids(running)]
        write_app(source.replace("return 1", "return 22"))
        await running.reload()
        assert (await running.invoke("version")).unwrap() == 22
        await until(lambda: not any(map(runs, before)))


VARIABLES = """
import os
import threading

from fnframe import App

if "COLOUR" in os.environ:
    threading.Thread(target=threading.Event().wait, name="painter", daemon=True).start()
app = App("variables")


@app.function(variables={"COLOUR": "blue"})
def paints():
    return [thread.name for thread in threading.enumerate()]


@app.function()
def plain():
    return [thread.name for thread in threading.enumerate()]
"""


async def test_threads_that_only_some_variables_start(write_app, caplog):
    """Each template starts its environments as is safe for it, and each says so."""
    async with run_target(write_app(VARIABLES)) as running:
        assert "app of function 'paints' with its variables left threads running (painter)" in caplog.text
        assert caplog.text.count("left threads running") == 1
        assert (await running.invoke("paints")).unwrap() == ["MainThread", "painter"]
        assert (await running.invoke("plain")).unwrap() == ["MainThread"]


async def test_a_template_that_is_killed_leaves_nothing(write_app):
    async with run_target(write_app(LEAVES_THREADS)) as running:
        await running.invoke("names")
        spare = running.pool._lanes["names"].templates.spare
        await until(lambda: spare.pid)
        before = [*await live_pids(running), spare.pid]
        os.kill(template_of(running), signal.SIGKILL)
        await until(lambda: not any(map(runs, before)))
        assert "cache-refresher" in (await running.invoke("names")).unwrap()
