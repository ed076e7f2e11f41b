"""Reloading: new code behind open listeners; a mistake leaves the old."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from facts import until

from fnframe import ConfigurationError, Failure, hookimpl
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

PLUGIN = """
import anyio
from fnframe import Event, Trigger, hookimpl
from fnframe.event import new_id, now


class Once(Trigger):
    word: str

    def __post_init__(self):
        if not self.word:
            raise ValueError("a word is needed")

    async def run(self, mapping, *, task_status):
        if self.word == "refused":
            from fnframe import ConfigurationError
            raise ConfigurationError("the word is refused")
        event = Event(id=new_id(), source="test", type="once", time=now(), data=f'"{self.word}"'.encode())
        await mapping.enqueue(event)
        task_status.started(f"says {self.word}")
        await anyio.sleep_forever()


@hookimpl
def fnframe_register_triggers():
    return [Once]
"""

APP = """
import os
from pathlib import Path
from fnframe import App
from fnframe_plugins import Once

app = App("reloads")
LOG = Path(__file__).parent / "log"

{functions}
"""

HEARS = """
@app.function(Once({word!r}))
def hears(event):
    with open(LOG, "a") as log:
        log.write(f"{{event}} {version}\\n")
"""

TELLS = """
@app.function({options})
{kind} tells():
    return {version!r}
"""


def words(tmp_path) -> list[str]:
    log = tmp_path / "log"
    return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def write(tmp_path):
    (tmp_path / "fnframe_plugins.py").write_text(PLUGIN)

    def write(*functions: str) -> str:
        path = tmp_path / "app.py"
        path.write_text(APP.format(functions="\n".join(functions)))
        return str(path)

    return write


def tells(version: str, kind: str = "def", options: str = "") -> str:
    return TELLS.format(version=version, kind=kind, options=options)


async def test_new_code_serves_and_unchanged_triggers_stay(write, tmp_path):
    target = write(HEARS.format(word="a", version=1), tells("one"))
    async with run_target(target) as running:
        await running.drained()
        assert (await running.invoke("tells")).unwrap() == "one"
        write(HEARS.format(word="a", version=2), tells("two"))
        await running.reload()
        assert (await running.invoke("tells")).unwrap() == "two"
        await running.drained()
        assert words(tmp_path) == ["a 1"], "the trigger was not started again"
        assert running.started == [("hears", "says a")]


WAITS = """
@app.function(reserved_concurrency={cap}, timeout=60)
def waits(event):
    import os, time
    while not os.path.exists(event):
        time.sleep(0.001)
    return {version}
"""


async def test_what_runs_counts_for_the_concurrency_of_the_new_code_too(write, tmp_path):
    gate = tmp_path / "gate"
    target = write(WAITS.format(cap=2, version=0))

    async with run_target(target) as running, anyio.create_task_group() as tasks:
        values = []

        async def invoke():
            values.append((await running.invoke("waits", str(gate))).unwrap())

        async def refused() -> str:
            return (await running.invoke("waits", str(gate))).report.outcome

        tasks.start_soon(invoke)
        tasks.start_soon(invoke)
        await until(lambda: running.pool.statistics()["live"] - running.pool.statistics()["idle"] >= 2)
        for cap, is_in in ((1, 2), (2, 2), (3, 3)):
            write(WAITS.format(cap=cap, version=cap))
            tasks.start_soon(running.reload)  # It waits for what runs in the old code.
            await until(lambda cap=cap: running.manifest.functions[0].reserved_concurrency == cap)
            if is_in == 3:
                tasks.start_soon(invoke)
                await until(lambda: len([each for each in running.pool._live if each.in_flight]) == 3)
            assert await refused() == "TooManyRequestsException"
        gate.touch()
        await until(lambda: len(values) == 3)
        assert sorted(values) == [0, 0, 3]
        write(WAITS.format(cap=1, version=4))
        await running.reload()
        assert (await running.invoke("waits", str(gate))).unwrap() == 4


async def test_changed_triggers_start_anew_and_removed_ones_end(write, tmp_path):
    target = write(HEARS.format(word="a", version=1), tells("one"))
    async with run_target(target) as running:
        write(HEARS.format(word="b", version=2), tells("two"))
        await running.reload()
        await running.drained()
        assert words(tmp_path) == ["a 1", "b 2"] or words(tmp_path) == ["a 2", "b 2"]
        assert running.started == [("hears", "says b")]
        write(tells("three"))
        await running.reload()
        assert running.started == []
        write(HEARS.format(word="c", version=4), tells("four"))
        await running.reload()
        await running.drained()
        assert words(tmp_path)[-1] == "c 4"


async def test_a_mistake_leaves_the_old(write):
    target = write(tells("one"))
    async with run_target(target) as running:
        write("def broken(:")
        with pytest.raises(ConfigurationError):
            await running.reload()
        assert (await running.invoke("tells")).unwrap() == "one"
        write(tells("two"))
        await running.reload()
        assert (await running.invoke("tells")).unwrap() == "two"


async def test_a_trigger_that_was_refused_is_served_once_it_is_mended(write, tmp_path):
    target = write(HEARS.format(word="a", version=1), tells("one"))
    async with run_target(target) as running:
        write(HEARS.format(word="refused", version=2), tells("two"))
        with pytest.raises(ConfigurationError, match="the word is refused"):
            await running.reload()
        assert (await running.invoke("tells")).unwrap() == "one", "the old goes on"
        assert running.started == [("hears", "says a")]
        assert running.pool._lanes["tells"].live == 1
        write(HEARS.format(word="b", version=3), tells("three"))
        await running.reload()
        await running.drained()
        assert words(tmp_path)[-1] == "b 3"


async def test_what_runs_ends_in_the_old_code(write, tmp_path):
    waits = """
@app.function(timeout=30)
def waits():
    import time
    (LOG.parent / "begun").touch()
    while not (LOG.parent / "gate").exists():
        time.sleep(0.005)
    return {version!r}
"""
    target = write(waits.format(version="one"))
    results: list[Any] = []
    async with run_target(target) as running:

        async def invoke() -> None:
            results.append((await running.invoke("waits")).unwrap())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(invoke)
            with anyio.fail_after(10):
                while not (tmp_path / "begun").exists():
                    await anyio.sleep(0.002)
            write(waits.format(version="two"))
            first = running.manifest
            tasks.start_soon(running.reload)
            with anyio.fail_after(10):
                while running.manifest is first:
                    await anyio.sleep(0.002)
            (tmp_path / "gate").touch()
        assert results == ["one"]
        assert (await running.invoke("waits")).unwrap() == "two"


async def test_inline_functions_are_imported_anew(write):
    target = write(tells("one", "async def", "isolation='inline'"))
    async with run_target(target) as running:
        assert (await running.invoke("tells")).unwrap() == "one"
        write(tells("two!", "async def", "isolation='inline'"))
        await running.reload()
        assert (await running.invoke("tells")).unwrap() == "two!"


GOES = """
@app.function(timeout=30)
def goes(event):
    import os, time
    (LOG.parent / "begun").touch()
    while event != "ahead" and not (LOG.parent / "gate").exists():
        time.sleep(0.002)
    if event == "exits":
        os._exit(3)
    print("the last word")
    return event
"""


@pytest.mark.parametrize("head", ["prints", "exits"])
async def test_a_function_that_is_taken_away_answers_what_it_was_sent(write, tmp_path, head):
    heard: list[bytes] = []
    outcomes = {}

    class Listener:
        @hookimpl
        def fnframe_invocation_output(self, data):
            heard.append(data)

    target = write(GOES, tells("one"))
    async with run_target(target, settings={"max_environments": 1}, plugins=[Listener()]) as running:

        async def invoke(event: str) -> None:
            outcomes[event] = await running.invoke("goes", event)

        await invoke("ahead")
        running.pool._lanes["goes"].longest = 0.0  # As if it had been short for long: the pool sends ahead.
        (environment,) = running.pool._live
        heard.clear()
        outcomes.clear()
        (tmp_path / "begun").unlink()
        async with anyio.create_task_group() as tasks:
            with anyio.fail_after(10):
                tasks.start_soon(invoke, head)
                while not (tmp_path / "begun").exists():
                    await anyio.sleep(0.002)
                tasks.start_soon(invoke, "ahead")
                while len(environment.in_flight) < 2:
                    await anyio.sleep(0.002)
                write(tells("two"))
                tasks.start_soon(running.reload)
                while "goes" in running.pool._lanes:
                    await anyio.sleep(0.002)
                (tmp_path / "gate").touch()
                while len(outcomes) < 2:
                    await anyio.sleep(0.002)
        if head == "prints":
            assert [outcomes[event].unwrap() for event in ("prints", "ahead")] == ["prints", "ahead"]
            assert b"".join(heard) == b"the last word\n" * 2
        else:
            assert outcomes["exits"].error_type == "Runtime.ExitError"
            assert outcomes["ahead"].kind == "rejected"
            assert "'goes' is gone after a reload" in outcomes["ahead"].message
        assert (await running.invoke("tells")).unwrap() == "two"


async def test_no_invocation_fails_because_of_a_reload(write):
    target = write(tells("one", options="timeout=30"))
    stop = anyio.Event()
    outcomes = []
    async with run_target(target, settings={"max_environments": 2}) as running:

        async def invoke() -> None:
            while not stop.is_set():
                outcomes.append(await running.invoke("tells"))
                await anyio.sleep(0.001)  # A machine that has no time left is another test.

        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(invoke)
            for done in (50, 150, 250):
                with anyio.fail_after(10):
                    while len(outcomes) < done:
                        await anyio.sleep(0.002)
                running.pool._lanes["tells"].longest = 0.0  # As if it had been short for long: the pool sends ahead.
                await running.reload()
            stop.set()
    assert [outcome for outcome in outcomes if isinstance(outcome, Failure)] == []
