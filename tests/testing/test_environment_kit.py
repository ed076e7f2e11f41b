"""The conformance kit of environments: ours keep it, and an environment that breaks an obligation is caught by name."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from fnframe import Report as REPORT
from fnframe import hookimpl
from fnframe.testing import EnvironmentCase, ObligationBroken, check_environment, environment_obligations
from fnframe.testing.environments import obligation as kit

pytestmark = pytest.mark.anyio

APP = """
import os
import subprocess
import time

import anyio
from fnframe import App

app = App("conformance")


@app.function()
def echo(event):
    return event


@app.function()
def fails(event):
    raise ValueError(event)


@app.function(timeout=1.0)
def hangs(event):
    while True:
        pass


@app.function(timeout=20)
def grows(event):
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1)) * 10_000_000)


@app.function()
def exits(event):
    os._exit(3)


@app.function()
def speaks(event):
    print(event)


@app.function()
def echo_once(event):
    subprocess.Popen(["sleep", "30"])
    return event


@app.function()
def forgets(event):
    return event or None


@app.function()
def exits_without_a_word(event):
    os._exit(0)


@app.function(isolation="inline")
async def echo_inline(event):
    return event


@app.function(isolation="inline")
async def fails_inline(event):
    raise ValueError(event)


@app.function(isolation="inline", timeout=1.0)
async def hangs_inline(event):
    await anyio.sleep_forever()
"""

PARTS = {"grows": "grows", "exits": "exits", "speaks": "speaks"}


@pytest.fixture
def case(write_app):
    return EnvironmentCase(write_app(APP), "echo", "fails", "hangs", **PARTS)


@pytest.mark.parametrize("obligation", kit.OBLIGATIONS, ids=str)
async def test_a_process_keeps_them(case, obligation):
    await obligation.check(case)


async def test_an_inline_function_keeps_them(write_app):
    case = EnvironmentCase(write_app(APP), "echo_inline", "fails_inline", "hangs_inline")
    checked = await check_environment(case)
    assert checked == [each.name for each in kit.OBLIGATIONS if not each.needs]
    assert [str(each) for each in environment_obligations(case)] == checked


def test_every_obligation_says_why():
    for obligation in kit.OBLIGATIONS:
        assert len(obligation.why) > 60, obligation


BROKEN = [
    ("the_result_comes_back", {"echo": "forgets"}, "the result: expected 0, found None"),
    ("a_failure_tells_what_and_why", {"fails": "echo"}, "expected a failure, found Success"),
    ("a_failure_tells_what_and_why", {"fails": "exits_without_a_word"}, "expected 'failed', found 'ended'"),
    ("what_it_writes_belongs_to_its_invocation", {"speaks": "echo"}, "expected 'first words' alone in the output"),
    ("it_is_ended_at_its_timeout", {"hangs": "echo"}, "expected the failure Sandbox.Timedout, found Success"),
    ("it_is_ended_at_its_memory", {"grows": "echo"}, "expected the failure Runtime.OutOfMemory, found Success"),
    ("its_end_is_told", {"exits": "fails"}, "expected the failure Runtime.ExitError, found Failure"),
    ("a_caller_who_goes_away_ends_it", {"hangs": "echo"}, "its outcome: expected 'Invocation.Cancelled'"),
    ("it_is_used_again", {"echo": "echo_once"}, "environments of three invocations, one by one: expected 1, found 3"),
]


@pytest.mark.parametrize(("name", "parts", "words"), BROKEN)
async def test_what_is_broken_is_caught(case, name, parts, words):
    (broken,) = [each for each in kit.OBLIGATIONS if each.name == name]
    with pytest.raises(ObligationBroken) as caught:
        await broken.check(case._replace(**parts))
    assert words in str(caught.value)
    assert caught.value.__notes__ == [f"obligation {name}:\n{broken.why}"]


class LeavesAProcess:
    def __init__(self):
        self.left = []

    @hookimpl
    def fnframe_lifespan(self, running):
        return self._lifespan()

    @asynccontextmanager
    async def _lifespan(self):
        self.left.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        yield


async def test_a_process_that_outlives_the_app_is_caught(case, monkeypatch):
    monkeypatch.setattr("fnframe.testing.environments.limits.LATE", 0.1)
    (broken,) = [each for each in kit.OBLIGATIONS if each.name == "it_ends_with_the_app"]
    plugin = LeavesAProcess()
    try:
        with pytest.raises(ObligationBroken, match=r"left when the app has ended: expected \{\}, found \{.*input"):
            await broken.check(case._replace(plugins=[plugin]))
    finally:
        for process in plugin.left:
            process.communicate()


async def test_a_figure_that_was_not_measured_is_caught(case, monkeypatch):
    monkeypatch.setattr("fnframe.dispatch.verdict.Report", lambda *fields: replace(REPORT(*fields), cpu_ms=0.0))
    (broken,) = [each for each in kit.OBLIGATIONS if each.name == "its_figures_are_measured_or_none"]
    with pytest.raises(ObligationBroken, match=r"cpu_ms: expected a figure above 0 \(peak-rss-reset\), found 0.0"):
        await broken.check(case)


def test_every_obligation_is_broken_once():
    names = {name for name, _, _ in BROKEN} | {"it_ends_with_the_app", "its_figures_are_measured_or_none"}
    assert names == {each.name for each in kit.OBLIGATIONS}
