"""A running app and its bill: what is recorded, and what a program can ask."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import threading
from decimal import Decimal
from pathlib import Path

import anyio
import apsw
import msgspec
import pytest
from billing_reports import NOON, report
from facts import until
from fnframe_billing import Billing, Cost
from fnframe_billing.book import find_book
from fnframe_billing.budgets import Budgets
from fnframe_billing.bursts import BURST
from fnframe_billing.consumer import Consumer
from fnframe_billing.keeping import Keeping
from fnframe_billing.ledger import Ledger
from fnframe_billing.schema import VERSION
from fnframe_billing.settings import Budget
from fnframe_billing.writer import Writer

from fnframe import ConfigurationError, FnframeError, Function, hookimpl
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.memory_stream import Retention
from fnframe.engine.protocol import REPORTS, EngineOptions, record_of
from fnframe.environment.target import load_app
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

F = Function(name="f", where="")


@pytest.fixture
def shop(kit, tmp_path):
    """The app in a folder of its own."""
    return str(shutil.copy(kit.SHOP, tmp_path / "shop.py"))


class Heard:
    def __init__(self):
        self.reports = []

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.reports.append(report)


async def test_every_invocation_is_in_the_ledger_once(shop, tmp_path, kit):
    heard = Heard()
    async with run_target(shop, plugins=[heard], settings={"retry_base": 0.001}) as running:
        for number in range(5):
            (await running.invoke("order", {"customer": f"c{number % 2}"})).unwrap()
        await running.invoke("fails")
        await running.invoke("inline")
        await running.enqueue("fails")
        await running.enqueue("chain", {"customer": "c0"})
        await running.drained()
    ledger = Ledger(tmp_path / ".fnframe" / "ledger.db")
    rows = kit.rows(ledger, "SELECT request_id, attempt FROM invocations")
    assert sorted(rows) == sorted((each.request_id, each.attempt) for each in heard.reports)
    used = {name: (usage.invocations, usage.failures) for name, usage in kit.used(ledger).items()}
    assert used == {"order": (6, 0), "fails": (3, 3), "inline": (1, 0), "chain": (1, 0)}
    assert {name: usage.invocations for name, usage in kit.used(ledger, "tenant").items()} == {
        "c0": 4, "c1": 2, "(no tenant)": 5,
    }  # fmt: skip
    assert {name: usage.invocations for name, usage in kit.used(ledger, "tag:team").items()} == {
        "web": 6, "(no team)": 5,
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / ".fnframe").iterdir()) == ["ledger.db"]


@pytest.mark.parametrize(
    ("engine", "other"),
    [("sqlite:///e.db", "sqlite:///o.db"), ("sqlite:///e.db", "memory:"), ("memory:", "sqlite:///o.db")],
)
async def test_whatever_engine_keeps_it_each_is_billed_once(tmp_path, kit, engine, other):
    """What lay in an engine beside the app's own was settled there, and never billed."""
    (tmp_path / "queues.py").write_text(QUEUES)
    budget = {"name": "b", "requests": 100, "function": "*"}
    engines = {"queue:orders": other}
    settings = {"engine": engine, "engines": engines, "retry_base": 0.001, "billing.budgets": [budget]}
    for _ in range(2):
        async with run_target(str(tmp_path / "queues.py"), settings=settings) as running:
            for number in range(3):
                await running.queue("orders").send(number)
                await running.enqueue("fails")
                await running.invoke("waits")
            await running.drained()
            found = await running.billing.summary()
    ledger = Ledger(tmp_path / ".fnframe" / "ledger.db")
    used = {"take": 6, "fails": 12, "waits": 6}
    assert {line.group: line.usage.invocations for line in found.lines} == used
    assert dict(kit.rows(ledger, "SELECT subject, requests FROM spent")) == used


QUEUES = """
from fnframe import App
from fnframe_queue import Queue

app = App("queues")


@app.function(Queue("orders", batch_size=1))
def take(order):
    return order


@app.function(retries=1)
def fails():
    raise ValueError("no luck")


@app.function()
def waits():
    pass
"""


async def test_a_program_asks_for_the_bill_and_for_the_cost_of_one_invocation(shop):
    async with run_target(shop, settings={"billing.ledger": "memory:"}) as running:
        billing = running.billing
        assert isinstance(billing, Billing)
        outcomes = [await running.invoke("order", {"customer": "acme"}) for _ in range(3)]
        bill = await billing.summary()
        (line,) = bill.lines
        assert (line.usage.invocations, line.cost) == (3, 0)
        costs = [billing.cost(outcome) for outcome in outcomes]
        assert sum(round(cost.amount * 10**12) for cost in costs) == pytest.approx(line.list_cost, abs=3)
        assert [cost.billed_ms * 256 for cost in costs] == [cost.gb_seconds * 1_024_000 for cost in costs]
        assert {line.group for line in (await billing.summary("tenant")).lines} == {"acme"}
        today = dt.datetime.now(dt.UTC).date()
        before = await billing.summary(begin=today - dt.timedelta(days=90), end=today - dt.timedelta(days=60))
        assert (before.lines, before.cost) == ((), 0)
        with pytest.raises(ConfigurationError, match="not by 'color'"):
            await billing.summary("color")


def test_the_published_price_of_a_cold_start(kit):
    """3.01 + 110.10 ms at 128 MB: 114 ms are billed."""
    billing = Billing(Ledger("memory:"), find_book("lambda-x86", None))
    cold = report(duration_ms=3.01, init_duration_ms=110.10)
    assert billing.cost(cold) == Cost(Decimal("4.37500475e-7"), "USD", 114, Decimal("0.01425"), 1, "lambda-x86 2026-11")
    assert billing.cost(report(environment_id="", duration_ms=0.0)).amount == 0


def test_synchronous_programs_ask_too(shop):
    app = load_app(shop)
    with app.run_in_thread(target=shop, billing={"ledger": "memory:"}) as running:
        threads = [threading.Thread(target=running.invoke, args=("order", {"customer": "a"})) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        outcome = running.invoke("order", {"customer": "b"})
        assert running.billing.cost(outcome).requests == 1
        lines = running.billing.summary("tenant").lines
        assert {line.group: line.usage.invocations for line in lines} == {"a": 8, "b": 1}


async def test_before_the_reply_means_before_the_reply(shop, tmp_path, kit):
    ledger = Ledger(tmp_path / ".fnframe" / "ledger.db")
    async with run_target(shop, settings={"billing.commit": "before-reply"}) as running:
        for _ in range(3):
            outcome = await running.invoke("order", {"customer": "a"})
            rows = kit.rows(ledger, "SELECT 1 FROM invocations WHERE request_id = ?", outcome.report.request_id)
            assert rows == [(1,)]
        async with anyio.create_task_group() as tasks:
            for _ in range(32):
                tasks.start_soon(running.invoke, "order", {"customer": "a"})
        assert kit.used(ledger)["order"].invocations == 35


async def test_who_only_looks_at_an_app_leaves_nothing(shop, tmp_path):
    async with run_target(shop, serve="none") as running:
        assert (await running.billing.summary()).lines == ()
    assert not (tmp_path / ".fnframe").exists()


async def test_who_only_looks_opens_no_ledger(shop, tmp_path):
    (tmp_path / ".fnframe").mkdir()
    (tmp_path / ".fnframe" / "ledger.db").write_text("not a ledger")
    async with run_target(shop, serve="none") as running:
        assert running.manifest.functions


async def test_who_calls_a_function_once_begins_no_ledger_that_nobody_asked_for(shop, tmp_path, kit):
    ledger = tmp_path / ".fnframe" / "ledger.db"
    async with run_target(shop, serve="calls") as running:
        outcome = await running.invoke("order", {})
        assert running.billing.cost(outcome).requests == 1
    assert not ledger.parent.exists()
    async with run_target(shop, serve="calls", settings={"billing.ledger": ".fnframe/ledger.db"}) as running:
        await running.invoke("order", {})
    assert kit.used(Ledger(ledger))["order"].invocations == 1
    async with run_target(shop, serve="calls") as running:
        await running.invoke("order", {})
    assert kit.used(Ledger(ledger))["order"].invocations == 2


async def test_without_billing_nothing_is_recorded(shop, tmp_path):
    async with run_target(shop, settings={"billing.enabled": False}) as running:
        await running.invoke("order", {})
        with pytest.raises(AttributeError):
            running.billing  # noqa: B018
    assert not (tmp_path / ".fnframe").exists()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"billing.price": "lambda-x68"}, "did you mean 'lambda-x86'"),
        ({"billing.price": "gone.toml"}, "gone.toml: this price book cannot be read"),
        ({"billing.commit": "now"}, "expected one of 'grouped', 'before-reply', found 'now'"),
        ({"billing.keep_days": "0"}, "billing.keep_days: expected `int` >= 1, found '0'"),
        ({"billing.ledgr": "x"}, "unknown key 'billing.ledgr', did you mean 'billing.ledger'"),
    ],
)
async def test_what_is_set_wrong_is_told_at_start(shop, settings, problem):
    with pytest.raises(ConfigurationError, match=problem):
        async with run_target(shop, settings=settings):
            pass


async def test_a_ledger_of_a_newer_release_is_told_at_start(shop, tmp_path):
    with Ledger(tmp_path / ".fnframe" / "ledger.db") as ledger:
        ledger.write([report()])
    connection = apsw.Connection(str(tmp_path / ".fnframe" / "ledger.db"))
    connection.pragma("user_version", VERSION + 1)
    connection.close()
    with pytest.raises(ConfigurationError, match="a newer one wrote it"):
        async with run_target(shop):
            pass


async def test_a_place_that_cannot_be_written_to_is_told_at_start(shop, tmp_path):
    with pytest.raises(ConfigurationError, match=r"ledger.db: the ledger cannot be kept here.*enabled = false"):
        async with run_target(shop, settings={"billing.ledger": "shop.py/in/ledger.db"}):
            pass


async def test_a_report_that_cannot_be_written_keeps_no_other_from_the_ledger(kit, caplog):
    """Half a surrogate pair is no text, and ended the thread that writes."""
    with Ledger("memory:") as ledger:
        writer = Writer(Keeping(ledger, Budgets([], find_book("lambda-x86", None))))
        writer.start()
        for each in (report(), report(request_id="unfit", tenant="\ud800"), report()):
            writer.hear(each)
        await writer.written()
        assert kit.used(ledger)["f"].invocations == 2
        await anyio.to_thread.run_sync(writer.end)
    assert "request unfit of function 'f' is not billed, since it cannot be written: UnicodeEncodeError" in caplog.text


@pytest.mark.parametrize("budgets", [[], [Budget(name="b", requests=10**6)]])
async def test_a_burst_waits_in_the_ledger_until_there_is_time(tmp_path, kit, budgets):
    """Where no budget has to know of it: a budget is counted in the step that writes."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        writer = Writer(Keeping(ledger, Budgets(budgets, find_book("lambda-x86", None))))
        for _ in range(3 * BURST):
            writer.hear(report())
        writer._write_all()
        beside = apsw.Connection(str(tmp_path / "ledger.db"))
        waits = beside.execute("SELECT (SELECT count(*) FROM bursts), (SELECT count(*) FROM invocations)").fetchone()
        assert waits == ((0, 3 * BURST) if budgets else (1, 0))
        writer.start()
        await until(lambda: beside.execute("SELECT count(*) FROM invocations").get == 3 * BURST)
        writer.hear(report())
        await writer.written()
        for _ in range(BURST):
            writer.hear(report())
        await anyio.to_thread.run_sync(writer.end)
        assert beside.execute("SELECT count(*) FROM bursts").get == 0, "an app that ended leaves rows"
        beside.close()
        assert kit.used(ledger)["f"].invocations == 4 * BURST + 1


async def test_a_ledger_that_cannot_be_written_is_written_later(shop, tmp_path, kit, caplog):
    """A disk is full for a while: nothing is lost."""
    caplog.set_level(logging.ERROR, "fnframe.billing")
    async with run_target(shop) as running:
        await running.invoke("order", {"customer": "a"})
        await running.billing.summary()
        blocker = apsw.Connection(str(tmp_path / ".fnframe" / "ledger.db"))
        blocker.execute(
            "CREATE TRIGGER full BEFORE INSERT ON invocations BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        await running.invoke("order", {"customer": "b"})
        with anyio.fail_after(10):
            while "the ledger cannot be written" not in caplog.text:
                await anyio.sleep(0.005)
        blocker.execute("DROP TRIGGER full")
        blocker.close()
        assert {line.group for line in (await running.billing.summary("tenant")).lines} == {"a", "b"}


# Environments that are kept warm.

WARM = """
from fnframe import App

app = App("warm")


@app.function(memory=1536, provisioned_concurrency=1)
def warm():
    pass
"""


async def test_warm_environments_are_billed_by_slots_of_five_minutes(tmp_path):
    (tmp_path / "warm.py").write_text(WARM)
    clock = ManualClock()
    ever = {"begin": dt.date(2000, 1, 1), "end": dt.date(2100, 1, 1)}
    slot = 1536 * 300_000

    async def reserved(slots):
        with anyio.fail_after(10):
            while (await running.billing.summary(**ever)).usage.reserved_mb_ms != slots * slot:
                await anyio.sleep(0.005)

    async with run_target(str(tmp_path / "warm.py"), clock=clock) as running:
        await reserved(1)
        clock.advance(299)
        await reserved(1)
        clock.advance(1)
        await reserved(2)


async def test_old_rows_are_forgotten(shop, tmp_path, kit):
    ledger = Ledger(tmp_path / ".fnframe" / "ledger.db")
    now = dt.datetime.now(dt.UTC)
    ledger.write([report(started_at=now - dt.timedelta(days=days)) for days in (63, 62.5, 61)])
    async with run_target(shop):
        with anyio.fail_after(10):
            while kit.rows(ledger, "SELECT count(*) FROM invocations") != [(1,)]:
                await anyio.sleep(0.005)
    assert kit.used(ledger)["f"].invocations == 3
    ledger.close()


# The stream of reports.


@pytest.fixture
async def engine(anyio_backend):
    async with MemoryEngine(EngineOptions(directory=Path())) as engine:
        yield engine


def consumer_of(engine, ledger, *declared):
    """As a running app has it: with budgets that go on with what the ledger has."""
    budgets = Budgets(declared, find_book("lambda-x86", None), NOON.timestamp)
    budgets.begin(ledger)
    return Consumer("reports", engine.stream(REPORTS), Keeping(ledger, budgets))


async def publish(engine, *reports):
    await engine.stream(REPORTS).publish([record_of(each) for each in reports])


def asynchronous(**fields):
    return report(invocation_type="asynchronous", **fields)


async def test_the_stream_is_taken_from_where_the_ledger_is(engine, tmp_path, kit):
    with Ledger(tmp_path / "ledger.db") as ledger:
        await publish(engine, *[asynchronous() for _ in range(5)])
        await consumer_of(engine, ledger).catch_up()
        await publish(engine, asynchronous())
        consumer = consumer_of(engine, ledger)
        await consumer.catch_up()
        await consumer.catch_up()
        assert kit.used(ledger)["f"].invocations == 6
        assert ledger.position("reports").position == 6


async def test_a_stream_that_began_anew_is_taken_from_its_beginning(tmp_path, kit):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for count in (3, 2, 5, 1):  # Fewer than before, as many and more.
            async with MemoryEngine(EngineOptions(directory=Path())) as engine:
                await publish(engine, *[asynchronous() for _ in range(count)])
                await consumer_of(engine, ledger).catch_up()
        assert kit.used(ledger)["f"].invocations == 11


async def test_a_budget_is_what_the_rows_say_whoever_wrote_them(engine, tmp_path, kit):
    """It was written apart from the rows: a host that was killed in between had run for nothing."""
    declared = Budget(name="b", requests=5, action="stop")
    reports = [asynchronous() for _ in range(5)]
    with Ledger(tmp_path / "ledger.db") as ledger:
        here, there = (consumer_of(engine, ledger, declared) for _ in range(2))
        await here.catch_up()
        mine = here._keeping._budgets
        for each in reports:
            mine.hear(each)
        assert mine.refusal(F, None) is not None, "before anybody has written it"
        assert there._keeping._budgets.refusal(F, None) is None
        await publish(engine, *reports[:4], reports[0])
        await there.catch_up()
        await here.catch_up()
        assert kit.rows(ledger, "SELECT requests FROM spent") == [(4,)]
        assert there._keeping._budgets.refusal(F, None) is None
        assert mine.refusal(F, None) is not None, "of what it heard, one is not written"
        assert len(mine._heard) == 1
        assert consumer_of(engine, ledger, declared)._keeping._budgets.refusal(F, None) is None, (
            "a host that was killed"
        )
        mine.hear(reports[4])
        await publish(engine, reports[4])
        await here.catch_up()
        assert mine._heard == {}
        assert consumer_of(engine, ledger, declared)._keeping._budgets.refusal(F, None) is not None


async def test_what_left_the_stream_is_told(engine, tmp_path, kit, caplog):
    caplog.set_level(logging.ERROR, "fnframe.billing")
    engine.stream(REPORTS)._retention = Retention(86_400, 3)
    with Ledger(tmp_path / "ledger.db") as ledger:
        consumer = consumer_of(engine, ledger)
        await publish(engine, asynchronous())
        await consumer.catch_up()
        await publish(engine, *[asynchronous() for _ in range(8)])
        await consumer.catch_up()
        assert kit.used(ledger)["f"].invocations == 4
    assert "5 reports left their stream before they were billed" in caplog.text


async def test_two_readers_of_one_ledger_take_each_report_once(engine, tmp_path, kit):
    ledgers = [Ledger(tmp_path / "ledger.db") for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for ledger in ledgers:
            tasks.start_soon(consumer_of(engine, ledger).run)
        for _ in range(20):
            await publish(engine, *[asynchronous() for _ in range(10)])
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(10):
            while not ledgers[0].exists() or ledgers[0].position("reports").position < 200:
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    assert kit.used(ledgers[0])["f"].invocations == 200
    for ledger in ledgers:
        ledger.close()


async def test_a_record_that_is_no_report_is_told_and_left_out(engine, tmp_path, kit, caplog):
    record = record_of(asynchronous())
    await engine.stream(REPORTS).publish([msgspec.structs.replace(record, body=b"{}", id="broken"), record])
    with Ledger(tmp_path / "ledger.db") as ledger:
        await consumer_of(engine, ledger).catch_up()
        assert kit.used(ledger)["f"].invocations == 1
    assert "record broken of the reports is none" in caplog.text


async def test_a_stream_that_fails_is_read_again(engine, tmp_path, kit, caplog, monkeypatch):
    monkeypatch.setattr("fnframe_billing.consumer.RETRY", 0.01)
    stream, failures = engine.stream(REPORTS), [FnframeError("the engine is away"), FnframeError("still")]

    class Failing:
        def stream(self, _):
            return self

        def __getattr__(self, name):
            return getattr(stream, name)

        async def read(self, *arguments, **options):
            if failures:
                raise failures.pop()
            return await stream.read(*arguments, **options)

    await publish(engine, asynchronous())
    with Ledger(tmp_path / "ledger.db") as ledger:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consumer_of(Failing(), ledger).run)
            with anyio.fail_after(10):
                while not ledger.exists() or not kit.used(ledger):
                    await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    assert "still" in caplog.text
