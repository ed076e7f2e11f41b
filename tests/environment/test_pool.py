"""How many environments there are, who gets one, and what happens when one or the template goes away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest
from facts import until

from fnframe import Failure, Success, hookimpl
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
APP = str(Path(__file__).parent.parent / "apps" / "behaviours.py")


def pool_of(running):
    return running.pool


async def test_an_idle_environment_is_used_again_most_recent_first(tmp_path):
    async with run_target(APP) as running:
        gate = tmp_path / "gate"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "waits_for", str(gate))
            await until(lambda: pool_of(running).statistics()["live"] == 2)  # One is provisioned for `warm`.
            tasks.start_soon(running.invoke, "waits_for", str(gate))
            await until(lambda: pool_of(running).statistics()["live"] == 3)
            gate.touch()
        pids = {(await running.invoke("waits_for", str(gate))).unwrap() for _ in range(20)}
        assert len(pids) == 1


async def test_past_the_bound_invocations_wait_in_order_and_then_are_throttled(tmp_path):
    async with run_target(APP, settings={"max_environments": 2, "max_waiting": 3}) as running:
        gate, log = tmp_path / "gate", tmp_path / "log"
        outcomes = {}

        async def invoke(name, function, data):
            outcomes[name] = await running.invoke(function, data)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(invoke, "first", "waits_for", str(gate))
            await until(lambda: len(pool_of(running)._live) == 2)
            for n in range(3):
                tasks.start_soon(invoke, n, "writes", [str(log), n])
                await until(lambda n=n: pool_of(running).statistics()["waiting"] == n + 1)
            refused = await running.invoke("writes", [str(log), 99])
            assert isinstance(refused, Failure)
            assert (refused.kind, refused.error_type) == ("rejected", "TooManyRequestsException")
            assert refused.retry_after == 1.0
            assert refused.report.max_memory_used_mb is None
            gate.touch()
        assert all(isinstance(outcome, Success) for outcome in outcomes.values())
        assert log.read_text() == "0\n1\n2\n"
        assert outcomes[2].report.queued_ms > 0


async def test_an_idle_environment_of_another_function_makes_room():
    async with run_target(APP, settings={"max_environments": 2}) as running:  # One is provisioned, for `warm`.
        assert (await running.invoke("echo", 1)).unwrap() == 1
        assert (await running.invoke("nothing")).unwrap() is None
        assert (await running.invoke("echo", 2)).unwrap() == 2
        assert pool_of(running).statistics()["live"] <= 2


async def test_many_at_once_share_two_environments(anyio_backend):
    async with run_target(APP, settings={"max_environments": 3}) as running:
        answers = []

        async def client(start):
            for n in range(start, start + 50):
                answers.append((n, (await running.invoke("echo", n)).unwrap()))

        async with anyio.create_task_group() as tasks:
            for start in range(0, 3200, 50):
                tasks.start_soon(client, start)
        assert len(answers) == 3200
        assert all(sent == received for sent, received in answers)


async def test_what_was_sent_ahead_of_a_kill_runs_elsewhere():
    async with run_target(APP, settings={"max_environments": 2}) as running:
        pool_of(running)._lanes["spin_if"].longest = 0.0  # As if it had been short for long: the pool sends ahead.
        outcomes = []

        async def invoke(data):
            outcomes.append((data, await running.invoke("spin_if", data)))

        async with anyio.create_task_group() as tasks:
            for data in ["spin", "a", "spin", "b", "c"]:
                tasks.start_soon(invoke, data)
        assert sorted(data for data, outcome in outcomes if isinstance(outcome, Success)) == ["a", "b", "c"]
        assert [o.error_type for d, o in outcomes if d == "spin"] == ["Sandbox.Timedout"] * 2


async def test_output_stays_with_its_invocation_when_sending_ahead():
    heard: dict[str, bytearray] = {}

    class Listener:
        @hookimpl
        def fnframe_invocation_output(self, request_id, data):
            heard.setdefault(request_id, bytearray()).extend(data)  # Ten megabytes come in very many pieces.

    async with run_target(APP, settings={"max_environments": 3}, plugins=[Listener()]) as running:
        expected = {}

        async def client(start):
            for n in range(start, start + 20):
                size = n % 7 * 100
                outcome = await running.invoke("prints_much", size)
                expected[outcome.report.request_id] = b"x" * size + b"\n"

        async with anyio.create_task_group() as tasks:
            for start in range(0, 400, 20):
                tasks.start_soon(client, start)
        assert {key: heard.get(key) for key in expected} == expected
        outcome = await running.invoke("prints", "me")
        assert sorted(heard[outcome.report.request_id].split(b"\n")) == [
            b"",
            b"child",
            b"err me",
            b"out me",
            b"raw",
        ]
        outcome = await running.invoke("prints_much", 10_000_000)
        assert len(heard[outcome.report.request_id]) == 10_000_001


async def test_output_is_not_lost_by_a_kill_and_the_imports_is_no_invocations(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    heard: dict[str, bytes] = {}

    class Listener:
        @hookimpl
        def fnframe_invocation_output(self, request_id, data):
            heard[request_id] = heard.get(request_id, b"") + data

    async with run_target(APP, plugins=[Listener()]) as running:
        outcome = await running.invoke("prints_and_spins")
        assert outcome.error_type == "Sandbox.Timedout"
        assert heard == {outcome.report.request_id: b"before the end\nfrom C"}


async def test_reserved_concurrency_is_a_share_of_its_own(tmp_path):
    async with run_target(APP) as running:
        gate = tmp_path / "gate"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "alone", str(gate))
            await until(lambda: len(pool_of(running)._live) == 2)
            refused = await running.invoke("alone", str(gate))
            assert refused.error_type == "TooManyRequestsException"
            assert "ReservedFunctionConcurrentInvocationLimitExceeded" in refused.message
            gate.touch()
        assert isinstance(await running.invoke("alone", str(gate)), Success)
        assert (await running.invoke("never")).error_type == "TooManyRequestsException"


async def test_provisioned_environments_are_warm_and_are_replaced():
    async with run_target(APP) as running:
        lane = pool_of(running)._lanes["warm"]
        await until(lambda: lane.idle)
        first = await running.invoke("warm")
        assert first.report.init_duration_ms is None
        os.kill(first.unwrap(), signal.SIGKILL)
        await until(lambda: lane.idle and lane.idle[0].id != first.report.environment_id)
        assert (await running.invoke("warm")).report.init_duration_ms is None


async def test_idle_environments_end():
    async with run_target(APP, settings={"idle_timeout": 0.05}) as running:
        info = (await running.invoke("pid")).unwrap()
        await until(lambda: pool_of(running).statistics() == {"live": 1, "idle": 1, "dying": 0, "waiting": 0})
        assert not Path(info["tmp"]).exists()
        assert (await running.invoke("pid")).unwrap()["pid"] != info["pid"]


class Reports:
    def __init__(self):
        self.started, self.reports = [], []

    @hookimpl
    def fnframe_invocation_started(self, request_id):
        self.started.append(request_id)

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.reports.append(report)


async def test_a_cancelled_call_ends_its_invocation_and_reports_what_it_used(tmp_path):
    heard = Reports()
    async with run_target(APP, plugins=[heard]) as running:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(running.invoke, "waits_for", str(tmp_path / "never"))
                await until(
                    lambda: any(environment.in_flight and environment.ready for environment in running.pool._live)
                )
                scope.cancel()
        await until(lambda: len(heard.reports) == 1)
        assert heard.reports[0].outcome == "Invocation.Cancelled"
        assert heard.reports[0].max_memory_used_mb > 5
        assert heard.reports[0].duration_ms > 0
        await until(lambda: pool_of(running).statistics()["live"] == 1 and not pool_of(running)._dying)
        assert (await running.invoke("echo", 1)).unwrap() == 1
    assert heard.started == [report.request_id for report in heard.reports]


async def test_a_call_cancelled_while_it_waits_has_used_nothing(tmp_path):
    heard = Reports()
    gate = tmp_path / "gate"
    async with run_target(APP, settings={"max_environments": 2}, plugins=[heard]) as running:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "waits_for", str(gate))
            await until(lambda: len(pool_of(running)._live) == 2)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as cancelled:
                    cancelled.start_soon(running.invoke, "echo", 1)
                    await until(lambda: pool_of(running).statistics()["waiting"] == 1)
                    scope.cancel()
            assert [report.outcome for report in heard.reports] == ["Invocation.Cancelled"]
            assert heard.reports[0].max_memory_used_mb is None
            assert heard.reports[0].environment_id == ""
            gate.touch()


async def test_a_call_cancelled_behind_another_ends_when_its_turn_comes(tmp_path):
    """It was sent ahead into the socket of a busy environment."""
    heard = Reports()
    gate, log = tmp_path / "gate", tmp_path / "log"
    async with run_target(APP, settings={"max_environments": 2}, plugins=[heard]) as running:
        await running.invoke("writes_when", [str(log), "short", ""])
        pool_of(running)._lanes["writes_when"].longest = 0.0  # As if it had been short for long: the pool sends ahead.
        heard.reports.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "writes_when", [str(log), "first", str(gate)])
            await until(lambda: any(environment.in_flight for environment in running.pool._live))
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as cancelled:
                    cancelled.start_soon(running.invoke, "writes_when", [str(log), "second", str(tmp_path / "never")])
                    await until(lambda: any(len(environment.in_flight) == 2 for environment in running.pool._live))
                    scope.cancel()
            assert heard.reports == []
            gate.touch()
        await until(lambda: len(heard.reports) == 2)
        assert sorted(report.outcome for report in heard.reports) == ["Invocation.Cancelled", "success"]
        assert (await running.invoke("writes_when", [str(log), "third", ""])).report.outcome == "success"
    assert log.read_text().split()[-2:] == ["first", "third"]


async def test_a_call_cancelled_behind_one_whose_environment_dies_needs_no_other(tmp_path):
    heard = Reports()
    async with run_target(APP, settings={"max_environments": 2}, plugins=[heard]) as running:
        pool_of(running)._lanes["waits_for"].longest = 0.0  # As if it had been short for long: the pool sends ahead.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "waits_for", str(tmp_path / "never"))
            await until(lambda: any(each.in_flight and each.ready and each.pid for each in running.pool._live))
            (environment,) = (each for each in running.pool._live if each.in_flight)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as cancelled:
                    cancelled.start_soon(running.invoke, "waits_for", str(tmp_path / "never"))
                    await until(lambda: len(environment.in_flight) == 2)
                    scope.cancel()
            os.kill(environment.pid, signal.SIGKILL)
            await until(lambda: len(heard.reports) == 2)
        cancelled_report, ended = sorted(heard.reports, key=lambda report: report.outcome)
        assert (cancelled_report.outcome, cancelled_report.environment_id) == ("Invocation.Cancelled", "")
        assert ended.outcome == "Runtime.ExitError"
