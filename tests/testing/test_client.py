"""The client that tests of apps use: the line of production, in this process or in real environments."""

from __future__ import annotations

import datetime as dt
import time

import anyio
import msgspec
import pytest
from fnframe_cron import Cron, Tick
from fnframe_queue import Queue
from fnframe_stream import Stream

from fnframe import App, Batch, ConfigurationError, Context, QueueFull
from fnframe.testing import batch_event, event, open_client

pytestmark = pytest.mark.anyio


class Order(msgspec.Struct):
    name: str
    copies: int = 1


def an_app():
    app = App("shop")

    @app.function()
    def order(order: Order, context: Context) -> dict:
        context.send("parcels", {"name": order.name})
        return {"accepted": order.name, "attempt": context.attempt}

    @app.function(retries=2)
    async def unreliable(data: dict):
        raise ValueError(f"not today, {data['name']}")

    @app.function(Queue("parcels", batch_size=1))
    async def pack(parcel: dict, context: Context) -> None:
        app.packed.append((parcel["name"], context.attempt))

    @app.function(Stream("clicks", start="earliest"))
    async def count(batch: Batch[dict]) -> None:
        app.clicks += [record.data["page"] for record in batch]

    app.packed, app.clicks = [], []
    return app


async def test_functions_run_in_this_process_with_what_the_test_patched(app_client):
    app = an_app()
    client = await app_client(app)
    outcome = await client.invoke("order", {"name": "cat"})
    assert outcome.unwrap() == {"accepted": "cat", "attempt": 1}
    assert (outcome.report.memory_method, outcome.report.max_memory_used_mb) == ("unavailable", None)
    await client.drained()
    assert app.packed == [("cat", 1)]


async def test_data_that_does_not_fit_is_a_failure_as_in_production(app_client):
    client = await app_client(an_app())
    outcome = await client.invoke("order", {"name": "cat", "copies": "many"})
    assert outcome.error_type == "Runtime.UnmarshalError"
    assert "$.copies" in outcome.message


async def test_retries_pass_by_the_clock_and_not_by_the_wall(app_client):
    client = await app_client(an_app(), retry_base=600, retry_cap=3600)
    begun, before = time.monotonic(), client.clock.time()
    await client.enqueue("unreliable", {"name": "cat"})
    await client.drained()
    assert time.monotonic() - begun < 5
    assert client.clock.time() > before
    client.heard.assert_outcomes("unreliable", "ValueError", "ValueError", "ValueError")
    client.heard.assert_settled("unreliable", "ValueError", attempts=3)
    (letter,) = await client.dead_letters("unreliable")
    assert letter.reason == "RetriesExhausted after 3 attempts: ValueError"


async def test_streams_and_queues_are_fed(app_client):
    app = an_app()
    client = await app_client(app)
    await client.publish("clicks", {"page": "/"}, key="cat")
    await client.send("parcels", {"name": "dog"})
    await client.drained()
    assert (app.clicks, app.packed) == (["/"], [("dog", 1)])


async def test_an_assertion_tells_all_that_was_run(app_client):
    client = await app_client(an_app())
    await client.invoke("unreliable", {"name": "cat"})
    with pytest.raises(AssertionError, match="expected the outcomes success, found ValueError") as caught:
        client.heard.assert_outcomes("unreliable", "success")
    assert "unreliable (direct, attempt 1): ValueError in " in str(caught.value)
    assert "not today, cat" in str(caught.value)
    with pytest.raises(AssertionError, match="expected 1 events that end as success, found none"):
        client.heard.assert_settled("unreliable", "success")


async def test_what_is_not_done_is_told(app_client):
    client = await app_client(an_app(), retry_base=600, retry_cap=600)
    await client.enqueue("unreliable", {"name": "cat"})
    with pytest.raises(AssertionError, match="after 1 seconds there is still work: what is not done yet is 1 in"):
        await client.drained(within=1)
    assert len(await client.forgotten()) == 1
    await client.drained()
    assert await client.forgotten() == []


def monthly():
    app = App("month")
    app.ran = []

    @app.function(Cron("0 * * * *", tz="Europe/Berlin"), retries=2)
    async def hourly(tick: Tick, context: Context):
        if tick.scheduled.hour % 7 == 0 and context.attempt == 1:
            raise OSError("the disk is full")
        app.ran.append(tick.scheduled)

    return app


async def test_a_month_of_cron_with_failures_and_retries(app_client):
    app = monthly()
    client = await app_client(app, start=dt.datetime(2026, 10, 1, tzinfo=dt.UTC))
    begun = time.process_time()
    await client.pass_time(dt.timedelta(days=31))
    await client.drained()
    used = time.process_time() - begun
    assert len(app.ran) == len(set(app.ran)) == 31 * 24
    failed = sum(report.outcome == "OSError" for report in client.heard.of("hourly"))
    assert failed == sum(moment.hour % 7 == 0 for moment in app.ran) > 100
    assert used < 5, "measured: below one second on an idle machine"


async def test_an_acknowledgement_that_is_lost_repeats_the_event(app_client):
    client = await app_client(an_app())
    client.faults.drop_acknowledgement("queue:parcels")
    await client.send("parcels", {"name": "cat"})
    await client.drained()
    client.heard.assert_outcomes("pack", "success", "success")
    client.faults.drop_acknowledgement("order")
    await client.enqueue("order", {"name": "dog"})
    await client.drained()
    client.heard.assert_outcomes("order", "success", "success")
    assert client.app.packed == [("cat", 1), ("cat", 1), ("dog", 1)]  # A repetition sends under the same id.


async def test_a_reply_is_late_by_the_clock(app_client):
    client = await app_client(an_app())
    client.faults.delay_reply("order", 5.0)
    replies = []

    async def ask():
        replies.append(await client.invoke("order", {"name": "cat"}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await client.pass_time(4.9)
        assert not replies
        await client.pass_time(0.2)
    assert len(replies) == 1


async def test_invocations_and_sends_are_refused(app_client):
    client = await app_client(an_app())
    client.faults.refuse("order")
    assert (await client.invoke("order", {"name": "cat"})).error_type == "Invocation.Refused"
    client.faults.refuse("order", retry_after=2.0)
    assert (await client.invoke("order", {"name": "cat"})).retry_after == 2.0
    client.faults.refuse_send("queue:parcels")
    with pytest.raises(QueueFull, match="parcels"):
        await client.send("parcels", {})
    assert (await client.invoke("order", {"name": "cat"})).unwrap()["accepted"] == "cat"
    await client.drained()


async def test_a_trigger_hands_over_as_it_does_in_production(app_client):
    client = await app_client(an_app())
    outcome = await client.invoke("count", event=batch_event([{"page": "a"}, {"page": "b"}], source="stream:clicks"))
    assert outcome.unwrap() is None
    assert client.app.clicks == ["a", "b"]
    with pytest.raises(AssertionError, match="function 'order' has the triggers none: say which one"):
        await client.trigger("order", event({"name": "cat"}))


ENVIRONMENTS = """
import os, time
from fnframe import App, Context

app = App("real")


@app.function(retries=2, timeout=30)
def slow(event, context: Context):
    if context.attempt == 1:
        time.sleep(30)
    print("done", os.getpid())
"""


async def test_an_environment_is_killed_and_the_event_comes_again(app_client, write_app):
    client = await app_client(write_app(ENVIRONMENTS), environments=True)
    await client.enqueue("slow")
    await client.kill("slow")
    await client.drained()
    _, second = client.heard.assert_outcomes("slow", "Runtime.ExitError", "success")
    assert second.max_memory_used_mb > 1
    assert client.heard.output_of(second).startswith("done ")


async def test_there_is_nothing_to_kill_in_the_tests_own_process(app_client):
    client = await app_client(an_app())
    with pytest.raises(AssertionError, match="open the client with environments=True"):
        await client.kill("order")


async def test_the_engine_is_in_memory_and_nobody_elses(tmp_path, write_app):
    with pytest.raises(ConfigurationError, match="the client keeps events in memory"):
        async with open_client(an_app(), engine="sqlite:///engine.db"):
            pass
    (tmp_path / "fnframe.toml").write_text(
        'engine = "sqlite:///own.db"\n[engines]\n"queue:parcels" = "sqlite:///x.db"\n'
    )
    target = write_app(ENVIRONMENTS, "engines_app.py")
    with pytest.raises(ConfigurationError, match=r"pass engines={'queue:parcels': 'memory:'}"):
        async with open_client(target):
            pass
    async with open_client(target, engines={"queue:parcels": "memory:"}) as client:
        assert (await client.running.engine.queue("parcels").statistics()).total == 0
    assert not (tmp_path / "own.db").exists()


async def test_a_provided_function_needs_environments():
    app = App("lambda")
    app.lambda_function("orders", handler="orders.handler")
    with pytest.raises(ConfigurationError, match="open the client with environments=True"):
        async with open_client(app):
            pass
