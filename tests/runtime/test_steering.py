"""What plugins steer: who is let in, when a caller has the outcome. Settings and hooks of a run; tenants."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from facts import until

from fnframe import ConfigurationError, Event, Failure, hookimpl
from fnframe.event import encode_json, now
from fnframe.hookspecs import Refusal

sys.path.insert(0, str(Path(__file__).parent.parent / "apps"))
from tenants import app


class Heard:
    """The reports, and what was asked at admission."""

    def __init__(self, answer=lambda function, tenant: None):
        self.reports = []
        self.asked = []
        self._answer = answer

    @hookimpl
    def fnframe_admit(self, function, event, invocation_type, attempt, tenant):
        self.asked.append((function.name, invocation_type, attempt, tenant))
        return self._answer(function.name, tenant)

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.reports.append(report)


ORDER = {"customer": {"id": "acme"}}


@pytest.mark.anyio
async def test_reports_tell_whose_an_invocation_is_and_what_its_price_depends_on():
    heard = Heard()
    async with app.run(plugins=[heard]) as running:
        await running.invoke("order", ORDER)
        await running.invoke("inline", {"id": 17})
        await running.invoke("plain")
        await running.enqueue("passes_on", ORDER)
        await running.drained()
    found = {report.function: (report.tenant, report.tags, report.ephemeral_storage_mb) for report in heard.reports}
    assert found == {
        "order": ("acme", {"team": "web"}, 1024),
        "inline": ("17", {}, 512),
        "plain": (None, {}, 512),
        "passes_on": ("acme", {}, 512),
        "chained": ("acme", {}, 512),
    }
    assert [report.event_bytes for report in heard.reports if report.function == "order"] == [len(encode_json(ORDER))]
    assert ("order", "synchronous", 1, "acme") in heard.asked
    assert ("chained", "asynchronous", 1, "acme") in heard.asked


@pytest.mark.anyio
async def test_reports_tell_of_environments_that_were_kept_warm():
    heard = Heard()
    async with app.run(plugins=[heard], max_environments=4) as running:
        await until(lambda: running.pool._lanes["warm"].idle)
        await running.invoke("warm")
        await running.invoke("plain")
    assert [(report.function, report.provisioned) for report in heard.reports] == [("warm", True), ("plain", False)]


@pytest.mark.anyio
@pytest.mark.parametrize("retry_after", [None, 7.5])
async def test_a_plugin_may_refuse(retry_after):
    def answer(name, tenant):
        return Refusal("the budget is spent", retry_after) if tenant == "acme" else None

    heard, second = Heard(answer), Heard()
    async with app.run(plugins=[second, heard]) as running:
        refused = await running.invoke("order", ORDER)
        assert isinstance(refused, Failure)
        assert (refused.kind, refused.message, refused.retry_after) == ("rejected", "the budget is spent", retry_after)
        expected = "Invocation.Refused" if retry_after is None else "TooManyRequestsException"
        assert refused.error_type == refused.report.outcome == expected
        assert refused.report.tenant == "acme"
        assert (await running.invoke("order", {"customer": {"id": "zeta"}})).unwrap() == {"id": "zeta"}
    assert second.asked == [("order", "synchronous", 1, "zeta")], "the first refusal decides"
    assert [report.outcome for report in heard.reports] == [expected, "success"]


@pytest.mark.anyio
async def test_who_is_refused_leaves_the_place_to_others():
    with_places = Heard(lambda name, tenant: Refusal("no"))
    async with app.run(plugins=[with_places]) as running:
        share = running.dispatcher._served["plain"].share
        before = len(share._places)
        await running.invoke("plain")
        assert len(share._places) == before


@pytest.mark.anyio
async def test_a_plugin_that_fails_to_answer_lets_all_in(caplog):
    def answer(name, tenant):
        raise RuntimeError("a bug of the plugin's")

    async with app.run(plugins=[Heard(answer)]) as running:
        assert (await running.invoke("plain")).unwrap() == 1
    assert "fnframe_admit raised; not logged again" in caplog.text


class Holding:
    """Holds each reply until it is let go."""

    def __init__(self):
        self.held = []
        self.let_go = anyio.Event()

    @hookimpl
    def fnframe_before_reply(self, report):
        self.held.append(report.function)
        return self.let_go.wait()


@pytest.mark.anyio
async def test_a_reply_is_held_until_a_plugin_lets_it_go():
    holding, heard = Holding(), Heard()
    outcomes = []
    async with app.run(plugins=[holding, heard]) as running, anyio.create_task_group() as tasks:

        async def invoke():
            outcomes.append(await running.invoke("plain"))

        tasks.start_soon(invoke)
        await until(lambda: holding.held)
        assert heard.reports
        await running.enqueue("chained")
        await running.drained()
        assert outcomes == []
        holding.let_go.set()
    assert [outcome.unwrap() for outcome in outcomes] == [1]
    assert holding.held == ["plain"], "nobody waits for the other"


def test_a_reply_is_held_in_threads_too():
    held = []

    class Holding:
        @hookimpl
        def fnframe_before_reply(self, report):
            async def hold():
                held.append(report.request_id)

            return hold()

    with app.run_in_thread(plugins=[Holding()]) as running:
        outcomes = [running.invoke("plain") for _ in range(3)]
    assert held == [outcome.report.request_id for outcome in outcomes]


@pytest.mark.anyio
async def test_a_plugin_that_fails_to_hold_is_told_once(caplog):
    class Holding:
        @hookimpl
        def fnframe_before_reply(self, report):
            async def hold():
                raise RuntimeError("a bug of the plugin's")

            return hold()

    async with app.run(plugins=[Holding()]) as running:
        for _ in range(2):
            assert (await running.invoke("plain")).unwrap() == 1
    assert caplog.text.count("fnframe_before_reply raised; not logged again") == 1


class Sizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int = 3


class WithSettings:
    """A plugin whose hook needs what its lifespan made of its settings."""

    def __init__(self, table="sizes", type_=Sizes):
        self.found = None
        self.heard = Heard()
        self._tables = {table: type_}

    @hookimpl
    def fnframe_register_settings(self):
        return self._tables

    @hookimpl
    def fnframe_lifespan(self, running):
        return self._lifespan(running)

    @asynccontextmanager
    async def _lifespan(self, running):
        self.found = running.settings_of("sizes")
        self.durable, self.reports = running.durable, running.reports
        running.register(self.heard)
        yield


@pytest.mark.anyio
async def test_a_plugin_has_settings_and_registers_hooks_of_its_run(monkeypatch):
    plugin = WithSettings()
    monkeypatch.setenv("FNFRAME_SIZES_SIZE", "5")
    async with app.run(plugins=[plugin]) as running:
        await running.invoke("plain")
        await running.enqueue("plain")
        await running.drained()
        assert (plugin.durable, plugin.reports) == (False, {}), "what a memory engine keeps ends with who hears it"
    assert plugin.found == Sizes(5)
    assert [report.function for report in plugin.heard.reports] == ["plain", "plain"]
    async with app.run(plugins=[WithSettings()], sizes={"size": 7}) as running:
        assert running.settings_of("sizes") == Sizes(7)


@pytest.mark.anyio
async def test_a_plugin_finds_the_reports_of_each_engine_that_outlives_the_process(tmp_path):
    engine, other = (f"sqlite:///{tmp_path / name}" for name in ("engine.db", "other.db"))
    for engines, durable, names in (
        ({}, True, ["reports of home"]),
        ({"queue:b": other, "stream:a": other}, True, ["reports of home", "reports of queue:b"]),
        ({"queue:b": "memory:"}, False, ["reports of home"]),
    ):
        plugin = WithSettings()
        async with app.run(plugins=[plugin], engine=engine, engines=engines) as running:
            await running.enqueue("plain")
            await running.drained()
            assert (plugin.durable, list(plugin.reports)) == (durable, names)
            records = await plugin.reports["reports of home"].read(0, 0, 10)
            assert {record.key for record in records} == {"plain"}


class Needing(msgspec.Struct):
    size: int


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("table", "type_", "problem"),
    [
        ("http", Sizes, r"brings the table \[http\], which there is already"),
        ("grace", Sizes, "'grace' cannot be the name of a table"),
        ("a b", Sizes, "'a b' cannot be the name of a table"),
        ("sizes", dict, "must return msgspec Structs by name, found <class 'dict'>"),
        ("sizes", Needing, "Needing needs a default for 'size'"),
    ],
)
async def test_a_table_of_settings_that_cannot_be_is_refused(table, type_, problem):
    with pytest.raises(ConfigurationError, match=problem):
        async with app.run(plugins=[WithSettings(table, type_)]):
            pass


@pytest.mark.anyio
async def test_the_header_of_an_event_is_what_its_trigger_says():
    heard = Heard()
    event = Event(id="1", source="me", type="t", time=now(), extensions={"tenant": "acme"})
    async with app.run(plugins=[heard]) as running:
        await running.invoke("chained", event=event)
    assert heard.reports[0].tenant == "acme"
