"""What a broken plugin does to an app: it starts or refuses by rule, never half, and the plugin is named precisely.

A stranger's plugin that cannot be used is left out with a warning; what an app asks for, or brings itself, must work.
"""

from __future__ import annotations

import logging

import anyio
import pytest

from fnframe import ConfigurationError, TriggerFailed
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("small")


@app.function()
def echo(event):
    return event
"""

RINGS = """
from fnframe import App
from fnframe_plugins import Bell

app = App("rings")


@app.function()
def echo(event):
    return event


@app.function(Bell())
def rings(event):
    return event
"""

BELL = """
import anyio
from fnframe import Trigger, hookimpl


class Bell(Trigger):
    async def run(self, mapping, *, task_status):
{body}


@hookimpl
def fnframe_register_triggers():
    return [Bell]
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution of one module of this source."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def installed(source, module="odd_plugin"):
        (site / f"{module}.py").write_text(source)
        info = site / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[fnframe]\nodd = {module}\n")

    return installed


@pytest.fixture
def bell(tmp_path):
    """A target whose trigger has this body of `run`."""

    def bell(body):
        (tmp_path / "fnframe_plugins.py").write_text(BELL.format(body=body))
        (tmp_path / "app.py").write_text(RINGS)
        return str(tmp_path / "app.py")

    return bell


LEFT_OUT = {
    "import nothing_like_it\n": "ModuleNotFoundError: No module named 'nothing_like_it'",
    "x = 1\n": "there is no hook in it: mark functions with @fnframe.hookimpl",
    "import fnframe\n@fnframe.hookimpl\ndef fnframe_admit(functoin): ...\n": "no argument 'functoin', did you mean",
}


@pytest.mark.parametrize("source", LEFT_OUT, ids=["import error", "no hook", "wrong signature"])
async def test_a_strangers_plugin_is_left_out_and_the_app_runs(installed, write_app, caplog, source, request):
    installed(source, f"odd_plugin_{abs(hash(request.node.name))}")
    async with run_target(write_app(APP)) as running:
        assert (await running.invoke("echo", 1)).unwrap() == 1
    (told,) = [record.message for record in caplog.records if record.name == "fnframe.plugins"]
    assert "plugin odd (odd_plugin_" in told
    assert LEFT_OUT[source] in told


REFUSED = {
    "fnframe_register_triggers": "fnframe_register_triggers failed: ZeroDivisionError",
    "fnframe_register_settings": "fnframe_register_settings failed: ZeroDivisionError",
    "fnframe_register_engines": "fnframe_register_engines failed: ZeroDivisionError",
}


@pytest.mark.parametrize("hook", REFUSED)
async def test_a_hook_that_raises_at_the_start_refuses_the_start(installed, write_app, hook, request):
    source = f"import fnframe\n@fnframe.hookimpl\ndef {hook}():\n    1 / 0\n"
    installed(source, f"odd_plugin_{abs(hash(request.node.name))}")
    with pytest.raises(ConfigurationError, match=REFUSED[hook]) as caught:
        async with run_target(write_app(APP)):
            pass
    assert "plugin odd (odd_plugin_" in str(caught.value)


async def test_a_hook_that_raises_while_the_app_runs_hurts_nobody(installed, write_app, caplog):
    installed(
        "import fnframe\n@fnframe.hookimpl\ndef fnframe_invocation_reported(report):\n    1 / 0\n", "odd_observer"
    )
    async with run_target(write_app(APP)) as running:
        for number in range(3):
            assert (await running.invoke("echo", number)).unwrap() == number
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.message for record in told] == [
        "plugin odd (odd_observer 1.2): fnframe_invocation_reported raised; not logged again"
    ]


async def test_a_trigger_that_is_never_ready_is_named_while_the_app_waits(bell, caplog, monkeypatch):
    monkeypatch.setattr("fnframe.runtime.triggers.PATIENCE", 0.05)
    with anyio.move_on_after(20) as patience:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, bell("        await anyio.sleep_forever()"))
            while not any("did not say within" in record.message for record in caplog.records):
                await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    assert not patience.cancelled_caught
    (told, *_) = [record.message for record in caplog.records if "did not say within" in record.message]
    assert told.startswith("the trigger Bell() of function 'rings' did not say within 0.05 s that it is ready")


async def enter(target):
    async with run_target(target):
        raise AssertionError("it started")


async def test_a_trigger_that_swallows_its_cancellation_is_named(bell, caplog, monkeypatch):
    monkeypatch.setattr("fnframe.runtime.triggers.LINGER", 0.05)
    body = """
        task_status.started("open")
        left = 100
        while left:
            try:
                await anyio.sleep(0.01 if left < 100 else 60)
            except anyio.get_cancelled_exc_class():
                pass
            left -= 1
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.002)
"""
    async with run_target(bell(body), settings={"grace": 0.05}) as running:
        assert (await running.invoke("echo", 1)).unwrap() == 1
    (told,) = [record.message for record in caplog.records if "has not ended" in record.message]
    assert told.startswith("the trigger Bell() of function 'rings' has not ended although it was cancelled")


async def test_a_trigger_that_fails_ends_the_app_and_is_named_with_its_line(bell, tmp_path):
    with pytest.raises(TriggerFailed, match=r"the trigger Bell\(\) of function 'rings' failed: KeyError") as caught:
        async with run_target(bell('        task_status.started("open")\n        {}["nothing"]')):
            await anyio.sleep_forever()
    assert caught.value.where == f"{tmp_path / 'fnframe_plugins.py'}:9"
