"""Triggers that cannot start, that fail, and that start before others."""

from __future__ import annotations

import anyio
import pytest

from fnframe import ConfigurationError, TriggerFailed
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

PLUGIN = """
import anyio
from fnframe import ConfigurationError, Event, Trigger, hookimpl
from fnframe.event import new_id, now


def helper():
    return unknown_name  # here


class Door(Trigger):
    how: str

    async def run(self, mapping, *, task_status):
        if self.how == "taken":
            raise ConfigurationError("the port is taken")
        if self.how == "silent":
            return
        if self.how == "late":
            task_status.started("open")
        helper()


class Count(Trigger):
    @classmethod
    async def run_all(cls, mappings, *, task_status):
        task_status.started("one text for all")
        await anyio.sleep_forever()


class Attic(Trigger):
    has_backlog = True

    async def run(self, mapping, *, task_status):
        await mapping.enqueue(Event(id=new_id(), source="test", type="pile", time=now(), data=b"1"))
        task_status.started("one")
        await anyio.sleep_forever()


@hookimpl
def fnframe_register_triggers():
    return [Door, Attic, Count]
"""

APP = """
from pathlib import Path
from fnframe import App
from fnframe_plugins import Attic, Count, Door

app = App("triggers")


@app.function(Attic())
def clears(event):
    (Path(__file__).parent / "cleared").touch()


@app.function({trigger})
def opens(event):
    return event
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "fnframe_plugins.py").write_text(PLUGIN)

    def write(trigger: str) -> str:
        path = tmp_path / "app.py"
        path.write_text(APP.format(trigger=trigger))
        return str(path)

    return write


async def test_where_one_cannot_start_nothing_was_handled(write, tmp_path):
    with pytest.raises(ConfigurationError, match="the port is taken"):
        async with run_target(write("Door('taken')")):
            pass
    assert not (tmp_path / "cleared").exists()


@pytest.mark.parametrize("how", ["early", "late"])
async def test_what_a_trigger_raises_is_told_with_its_name_and_line(write, tmp_path, how):
    with pytest.raises(TriggerFailed) as caught:
        async with run_target(write(f"Door({how!r})")):
            await anyio.sleep_forever()
    line = next(n for n, text in enumerate(PLUGIN.splitlines(), 1) if text.endswith("# here"))
    error = caught.value
    assert error.where == f"{tmp_path / 'fnframe_plugins.py'}:{line}"
    assert f"the trigger Door(how={how!r}) of function 'opens' failed: NameError: name 'unknown_name'" in str(error)
    assert error.traceback.startswith(f'  File "{tmp_path}')
    assert "NameError" in error.traceback.splitlines()[-1]
    assert isinstance(error.__cause__, NameError)


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [("Door('silent')", "task_status.started()"), ("Count()", r"task_status.started\(\) with 1 text\(s\)")],
)
async def test_a_trigger_must_say_that_it_started(write, trigger, problem):
    with pytest.raises(TriggerFailed, match=problem):
        async with run_target(write(trigger)):
            pass
