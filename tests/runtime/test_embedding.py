"""A program that embeds an app: what fails around it, in it and with it, and what its callers are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest
from facts import runs, until

from fnframe import Failure, Success, hookimpl
from fnframe.runtime import running as running_module
from fnframe.runtime.run import run_target

sys.path.insert(0, str(Path(__file__).parent.parent / "apps"))
from hostile import app

pytestmark = pytest.mark.anyio
APP = str(Path(__file__).parent.parent / "apps" / "hostile.py")


class Settled:
    def __init__(self):
        self.events = []

    @hookimpl
    def fnframe_event_settled(self, function, outcome):
        self.events.append((function.name, outcome.report.outcome))


# The template.

SERVES = """
from fnframe import App

app = App("serves")


@app.function()
def serves():
    return "served"
"""


async def test_a_template_that_died_while_the_code_was_broken_comes_back(write_app, monkeypatch):
    monkeypatch.setattr(running_module, "REVIVAL_DELAY", 0.02, raising=False)
    async with run_target(write_app(SERVES)) as running:
        assert (await running.invoke("serves")).unwrap() == "served"
        write_app("1 / 0\n")
        os.kill(running._bundle.templates[0]._process.pid, signal.SIGKILL)
        await until(running._bundle.templates[0].ended.is_set)
        with anyio.fail_after(10):
            outcome = await running.invoke("serves")
        assert isinstance(outcome, Failure)
        assert outcome.kind == "rejected"
        assert "the template died and the app cannot be imported" in outcome.message
        assert "division by zero" in outcome.message
        write_app(SERVES)
        with anyio.fail_after(10):
            while not isinstance(await running.invoke("serves"), Success):
                await anyio.sleep(0.01)


# What the machine does not give.

FEW_DESCRIPTORS = """
import os, resource, sys
from collections import Counter
from pathlib import Path
import anyio
from fnframe.runtime.run import run_target

app, backend, gate = sys.argv[1:]


def descriptors():
    return list(map(int, os.listdir("/proc/self/fd")))


async def main():
    before = len(descriptors())
    outcomes = []
    async with run_target(app, settings={"max_environments": 12, "retry_base": 0.01, "retry_cap": 0.05}) as running:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert (await running.invoke("echo", 0)).unwrap() == 0

        async def invoke():
            outcomes.append(await running.invoke("waits_for", gate))

        resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 6, most[1]))
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(invoke)
            with anyio.fail_after(10):
                while len(outcomes) + len(running.pool._live) < 11:
                    await anyio.sleep(0.002)
            rejected = len(outcomes)
            assert rejected >= 5, outcomes
            for outcome in outcomes:
                assert outcome.kind == "rejected", outcome
                assert "no environment could start" in outcome.message, outcome
                assert "Too many open files" in outcome.message, outcome
            await running.enqueue("other", 1)
            resource.setrlimit(resource.RLIMIT_NOFILE, most)
            with anyio.fail_after(10):
                await running.drained()
            Path(gate).touch()
        assert [outcome.unwrap() for outcome in outcomes[rejected:]] == [gate] * (10 - rejected)
        assert (await running.invoke("other", 1)).unwrap() == 1
    assert len(descriptors()) == before, descriptors()


anyio.run(main, backend=backend)
"""


def test_without_descriptors_who_cannot_be_served_is_told(anyio_backend_name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", FEW_DESCRIPTORS, APP, anyio_backend_name, str(tmp_path / "gate")],
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def test_without_room_for_temporary_files_events_wait_and_callers_are_told():
    settled = Settled()
    settings = {"retry_base": 0.01, "retry_cap": 0.02}
    async with run_target(APP, settings=settings, plugins=[settled]) as running:
        assert (await running.invoke("echo", 0)).unwrap() == 0
        root = running.pool._root
        away = root.rename(root.with_name(f"{root.name}-away"))
        root.touch()  # What is no directory cannot be made one.
        try:
            for _ in range(2):
                outcome = await running.invoke("other", 1)
                assert isinstance(outcome, Failure)
                assert outcome.kind == "rejected"
                assert "no environment could start" in outcome.message
            assert (await running.invoke("echo", 1)).unwrap() == 1, "one that is there is served"
            await running.enqueue("other", 2)
            assert settled.events == []
        finally:
            root.unlink()
            away.rename(root)
        with anyio.fail_after(10):
            await running.drained()
        assert settled.events == [("other", "success")]
        assert (await running.invoke("other", 3)).unwrap() == 3


# The program itself.

FORKS = """
import os, sys, time
import anyio
from fnframe.runtime.run import run_target


async def main():
    async with run_target(sys.argv[1]) as running:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "waits_for", "/nonexistent/never")
            await running.invoke("echo", 1)
            while None in (environments := [environment.pid for environment in running.pool._live]):
                await anyio.sleep(0.002)
            child = os.fork()
            if child == 0:  # It holds all of the host's descriptors.
                time.sleep(60)
                os._exit(0)
            print(child, running._bundle.templates[0]._process.pid, *environments, flush=True)
            await anyio.sleep(30)


anyio.run(main, backend=sys.argv[2])
"""


async def test_a_host_that_forked_and_was_killed_leaves_nothing(anyio_backend_name):
    with subprocess.Popen(
        [sys.executable, "-P", "-c", FORKS, APP, anyio_backend_name], stdout=subprocess.PIPE, text=True
    ) as process:
        child, *ours = map(int, process.stdout.readline().split())
        try:
            assert len(ours) == 3
            process.kill()
            process.wait()
            for pid in ours:
                await until(lambda pid=pid: not runs(pid))
            assert runs(child)
        finally:
            os.kill(child, signal.SIGKILL)


def test_threads_that_wait_when_the_app_ends_are_answered(tmp_path):
    outcomes = []
    with app.run_in_thread(target=APP, max_environments=1, grace=0.05) as running:
        running.invoke("waits_for", "/")

        def invoke():
            outcomes.append(running.invoke("waits_for", str(tmp_path / "never")))

        threads = [threading.Thread(target=invoke, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        running._portal.call(until, lambda: running._running.pool.statistics()["waiting"] == 3)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert sorted(outcome.kind for outcome in outcomes) == ["ended", "rejected", "rejected", "rejected"]


# Handlers in the host's own event loop.


@pytest.mark.parametrize("name", ["CancelledError", "SystemExit", "GeneratorExit"])
async def test_what_an_inline_handler_raises_is_its_own(name):
    settled = Settled()
    async with app.run(target=APP, plugins=[settled]) as running:
        outcome = await running.invoke("raises_inline", name)
        assert isinstance(outcome, Failure)
        assert (outcome.kind, outcome.error_type) == ("failed", name)
        for function, data in [("raises_inline", name), ("echo_inline", 1), ("raises_inline", name)]:
            await running.enqueue(function, data)
            with anyio.fail_after(5):
                await running.drained()
    assert settled.events == [("raises_inline", name), ("echo_inline", "success"), ("raises_inline", name)]


@pytest.mark.parametrize("is_done", [False, True])
async def test_what_waits_in_memory_at_the_end_is_told(is_done, write_app, caplog):
    target = write_app(
        "import signal\nfrom fnframe import App\napp = App('shop')\n"
        f"@app.function(timeout=60)\ndef later(event):\n    {'pass' if is_done else 'signal.pause()'}\n"
    )
    async with run_target(target, settings={"grace": 10.0 if is_done else 0.01}) as running:
        for number in range(3):
            await running.enqueue("later", number)
    told = [message for message in caplog.messages if message.startswith("app 'shop' ends, and with it")]
    assert told == [] if is_done else "what waited in memory: function:later (3);" in told[0]
