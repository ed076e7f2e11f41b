"""Inline functions: the host's own event loop, a deadline by cancellation, nothing claimed that was not measured."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import anyio
import pytest

from fnframe import Failure, FnframeError, Success, hookimpl

sys.path.insert(0, str(Path(__file__).parent.parent / "apps"))
from inline import app, seen

pytestmark = pytest.mark.anyio


async def test_what_comes_of_it_is_the_same_as_in_a_process():
    async with app.run() as running:
        assert (await running.invoke("echo", {"a": [1]})).unwrap() == {"a": [1]}
        assert (await running.invoke("nothing")).unwrap() is None
        assert (await running.invoke("typed", {"id": 1})).unwrap() == {"id": 2}
        bad = await running.invoke("typed", {"id": "one"})
        assert (bad.kind, bad.error_type) == ("rejected", "Runtime.UnmarshalError")
        assert bad.message == "Unable to unmarshal input: Expected `int`, got `str` - at `$.id`"
        error = await running.invoke("raises", "no luck")
        assert (error.kind, error.error_type, error.message) == ("failed", "ValueError", "no luck")
        assert "inline.py" in error.stack_trace[0]
        assert (await running.invoke("raises_timeout")).message == "the handler's own"
        assert (await running.invoke("much", 2000)).error_type == "Function.ResponseSizeTooLarge"
        assert (await running.invoke("no_json")).error_type == "Runtime.MarshalError"
        assert (await running.invoke("about", None)).unwrap() == ["about", 128, 1, True]


async def test_its_report_says_what_was_not_measured():
    async with app.run() as running:
        report = (await running.invoke("echo", 1)).report
        assert (report.max_memory_used_mb, report.memory_method, report.cpu_ms) == (None, "unavailable", None)
        assert 0 < report.duration_ms < 1000
        assert report.init_duration_ms is None


@pytest.mark.parametrize("function", ["waits", "waits_in_scopes"])
async def test_its_deadline_is_cancellation(function):
    seen.clear()
    async with app.run() as running:
        outcome = await running.invoke(function)
        assert isinstance(outcome, Failure)
        assert (outcome.kind, outcome.error_type) == ("ended", "Sandbox.Timedout")
        assert outcome.message.endswith("Task timed out after 0.05 seconds")
        assert outcome.report.duration_ms == 50
        assert (await running.invoke("echo", 1)).unwrap() == 1
    assert function != "waits" or seen == ["cleaned up"]


async def test_each_has_its_own_deadline():
    outcomes = []
    async with app.run() as running:

        async def invoke(function: str) -> None:
            outcomes.append((await running.invoke(function)).report.outcome)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(invoke, "waits")
                tasks.start_soon(invoke, "gives_up_early")
    assert sorted(outcomes) == ["Sandbox.Timedout"] * 20 + ["success"] * 20


async def test_cancelled_from_outside_it_is_reported_and_the_cancellation_goes_on():
    reports = []

    class Heard:
        @hookimpl
        def fnframe_invocation_reported(self, report):
            reports.append(report)

    async with app.run(plugins=[Heard()]) as running:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(running.invoke, "waits_long")
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        assert [report.outcome for report in reports] == ["Invocation.Cancelled"]
        assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_a_deadline_and_a_cancellation_at_once(anyio_backend_name):
    """Whichever is delivered first, the caller's own cancellation is never swallowed."""
    async with app.run() as running:
        for delay in (0.045, 0.048, 0.05, 0.051, 0.055):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(running.invoke, "waits")
                    await anyio.sleep(delay)
                    scope.cancel()
            if anyio_backend_name == "asyncio":
                task = asyncio.ensure_future(running.invoke("waits"))
                await asyncio.sleep(delay)
                asked = task.cancel()
                done = (await asyncio.gather(task, return_exceptions=True))[0]
                assert isinstance(done, asyncio.CancelledError) or (not asked and isinstance(done, Failure))
        assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_it_can_enqueue():
    seen.clear()
    async with app.run() as running:
        outcome = await running.invoke("sends", {"n": 1})
        assert isinstance(outcome, Success)
        await running.drained()
    assert seen == [{"n": 1}]


async def test_it_can_send_no_more_and_no_longer_than_one_in_a_process():
    seen.clear()
    async with app.run() as running:
        outcome = await running.invoke("sends_much", 2**20)
        assert outcome.error_type == "PayloadTooLarge"
        await running.invoke("leaves_its_context")
        with pytest.raises(FnframeError, match="the invocation of this context is over"):
            await seen[0].enqueue("heard", 1)
