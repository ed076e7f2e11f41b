"""Functions that a plugin has served beside the app's, while the app runs."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest

from fnframe import ConfigurationError, FunctionNotFound, Success, hookimpl
from fnframe.function import EnvironmentSpec, Function
from fnframe.provider import Preparation
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("beside")


@app.function()
def own(event):
    return event
"""

INSIDE = """
import json
import os
import time
from pathlib import Path

from fnframe.provider import Answer


class Tells:
    elsewhere = False

    def __init__(self, function):
        self.word = json.loads(function.environment.fields)

    def __call__(self, call):
        place = json.loads(call.event.data)
        if place:
            Path(place, "begun").touch()
            while not Path(place, "over").exists():
                time.sleep(0.005)
        return Answer(json.dumps([self.word, os.getpid(), os.getppid()]).encode())


def start(begin):
    return Tells(begin.function)
"""


class NoSettings(msgspec.Struct):
    pass


class Teller:
    """A provider whose functions tell a word, and which processes they are in."""

    Settings = NoSettings

    def __init__(self, folder):
        self.folder = folder

    def functions(self, settings, directory):
        return ()

    def arn(self, function, settings):
        return ""

    def prepare(self, function, settings, directory, scratch):
        if b"nowhere" in function.environment.fields:
            raise ConfigurationError("it cannot be prepared", where=function.where)
        return Preparation("teller_inside:start", str(directory), variables={"PYTHONPATH": str(self.folder)})

    @hookimpl
    def fnframe_environment_provider(self):
        return {"teller": self}


def tells(name, word, **options):
    spec = EnvironmentSpec("teller", msgspec.json.encode(word), "a teller")
    return Function(name=name, where="the test", environment=spec, timeout=30.0, **options)


@pytest.fixture
async def running(write_app, tmp_path):
    (tmp_path / "teller_inside.py").write_text(INSIDE)
    async with run_target(write_app(APP), plugins=(Teller(tmp_path),)) as running:
        yield running


async def told(running, name):
    return (await running.invoke(name)).unwrap()


async def test_they_come_and_change_and_go_and_what_is_unchanged_goes_on(running):
    await running.serve_beside("test", [tells("a", "first"), tells("b", "second")])
    before = {name: await told(running, name) for name in "ab"}
    assert [before[name][0] for name in "ab"] == ["first", "second"]
    assert before["a"][2] == before["b"][2], "one template does for both"
    own = (await running.invoke("own", 1)).report.environment_id

    await running.serve_beside("test", [tells("a", "first"), tells("b", "other")])
    assert await told(running, "a") == before["a"], "it kept its environment"
    word, environment, template = await told(running, "b")
    assert (word, template) == ("other", before["b"][2])
    assert environment != before["b"][1]
    assert (await running.invoke("own", 1)).report.environment_id == own

    await running.serve_beside("test", [tells("b", "other")])
    with pytest.raises(FunctionNotFound):
        await running.invoke("a")
    assert (await told(running, "b"))[1] == environment


async def test_a_template_that_nobody_needs_any_more_ends(running):
    await running.serve_beside("test", [tells("a", "first")])
    template = (await told(running, "a"))[2]
    await running.serve_beside("test", [])
    with anyio.fail_after(10):
        while Path(f"/proc/{template}").exists():
            await anyio.sleep(0.01)
    await running.serve_beside("test", [tells("a", "again")])
    assert (await told(running, "a"))[0] == "again"


async def test_what_runs_ends_as_it_began(running, tmp_path):
    await running.serve_beside("test", [tells("a", "first")])
    outcomes = []

    async def invoke():
        outcomes.append(await running.invoke("a", str(tmp_path)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(invoke)
        while not (tmp_path / "begun").exists():
            await anyio.sleep(0.005)
        await running.serve_beside("test", [tells("a", "second")])
        assert (await told(running, "a"))[0] == "second"
        (tmp_path / "over").touch()
    assert outcomes[0].unwrap()[0] == "first"


async def test_how_many_environments_have_begun(running):
    await running.serve_beside("test", [tells("a", "first", provisioned_concurrency=2), tells("b", "x")])
    with anyio.fail_after(10):
        while running.ready_environments("a") < 2:
            await anyio.sleep(0.005)
    assert (running.ready_environments("b"), running.ready_environments("nowhere")) == (0, 0)
    assert (await running.invoke("a")).report.init_duration_ms is None


async def test_they_outlive_a_reload(running):
    await running.serve_beside("test", [tells("a", "first")])
    manifest = await running.reload()
    assert [function.name for function in manifest.functions] == ["own", "a"]
    assert (await told(running, "a"))[0] == "first"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (tells("own", "x"), "declared twice, first at"),
        (tells("b", "nowhere"), "cannot be prepared"),
        (tells("b", "x", memory=1), "memory must lie between"),
        (tells("b", "x", provisioned_concurrency=1_000), "raise it to at least 1001"),
    ],
)
async def test_where_one_cannot_be_served_nothing_changes(running, wrong, problem):
    await running.serve_beside("test", [tells("a", "first")])
    before = await told(running, "a")
    with pytest.raises(ConfigurationError, match=problem):
        await running.serve_beside("test", [tells("a", "second"), wrong])
    assert (await told(running, "a"))[0] == before[0]
    assert (await running.invoke("own", 1)).unwrap() == 1
    assert len(running.manifest.functions) == 2


async def test_versions_of_a_function_share_its_concurrency_and_its_name_in_reports(running, tmp_path):
    functions = [
        tells("a", "first", reserved_concurrency=1),
        tells("a@1", "one", reserved_concurrency=1, version="1", version_of="a"),
    ]
    await running.serve_beside("test", functions)
    outcomes = []

    async def invoke():
        outcomes.append(await running.invoke("a@1", str(tmp_path)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(invoke)
        while not (tmp_path / "begun").exists():
            await anyio.sleep(0.005)
        assert (await running.invoke("a")).error_type == "TooManyRequestsException"
        # What is in progress still counts when something else changes.
        await running.serve_beside("test", [*functions, tells("b", "x")])
        assert (await running.invoke("a")).error_type == "TooManyRequestsException"
        (tmp_path / "over").touch()
    [outcome] = outcomes
    assert isinstance(outcome, Success)
    assert (outcome.report.function, outcome.report.version) == ("a", "1")
    assert (await told(running, "a"))[0] == "first"
