"""Sending from inside a handler and from outside: accepted once, kept in order, stopped at a depth."""

from __future__ import annotations

import anyio
import pytest
from facts import drained, until

from fnframe import FnframeError, NotRunning, PayloadTooLarge
from fnframe.runtime.run import run_target
from fnframe.sending import target_of
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

APP = """
import asyncio
from pathlib import Path
from fnframe import App, Batch, Context, Limits
from fnframe_queue import Queue
from fnframe_stream import Stream

app = App("sending", limits=Limits(depth=4))
HERE = Path(__file__).parent


def note(*words):
    with open(HERE / "log", "a") as log:
        log.write(" ".join(map(str, words)) + "\\n")


@app.function(retries=1)
def plain(event, context: Context):
    sent = [context.send("orders", {"n": n}, group="g") for n in range(2)]
    sent.append(context.send("queue:late", {"n": 9}, delay=60.0))
    sent.append(context.send("stream:clicks", {"n": 3}, key="k"))
    note("plain", *sent)
    raise ValueError("after sending")


@app.function(isolation="inline")
async def inline(event, context: Context):
    await context.send("orders", {"n": 1})
    for n in range(2):
        await context.send("stream:clicks", {"n": n}, key="k")


@app.function()
async def async_(event, context: Context):
    await asyncio.gather(*(context.send("orders", {"n": n}) for n in range(100)))


@app.function()
def wrong(event, context: Context):
    try:
        context.send(*event[0], **event[1])
    except ValueError as error:
        return str(error)


@app.function(Queue("orders"))
def orders(batch: Batch):
    for record in batch:
        note("orders", record.data["n"], record.id, record.key)


@app.function(Queue("late"))
def late(batch: Batch):
    note("late", batch[0].data)


@app.function(Stream("clicks"))
def clicks(batch: Batch):
    for record in batch:
        note("clicks", record.data["n"], record.key, record.id)


@app.function(Queue("round", batch_size=1))
def round_(event, context: Context):
    note("round")
    context.send("round", None)
"""


@pytest.fixture
async def world(write_app, tmp_path):
    clock = ManualClock()
    async with run_target(write_app(APP), clock=clock) as running:

        def log(first: str) -> list[str]:
            path = tmp_path / "log"
            lines = path.read_text().splitlines() if path.exists() else []
            return [line.removeprefix(f"{first} ") for line in lines if line.startswith(first)]

        yield running, clock, log


async def test_what_a_handler_sent_stands_and_a_retry_repeats_it(world):
    running, clock, log = world
    id_ = await running.enqueue("plain")
    await until(lambda: len(log("plain")) == 1)
    assert log("late") == []
    await drained(running, clock)
    sent = [f"{id_}:queue:orders:1", f"{id_}:queue:orders:2", f"{id_}:queue:late:3", f"{id_}:stream:clicks:4"]
    assert log("plain") == [" ".join(sent)] * 2
    assert log("orders") == [f"0 {sent[0]} g", f"1 {sent[1]} g"]
    assert log("clicks") == [f"3 k {sent[3]}"]
    assert log("late") == ["{'n': 9}"]
    assert clock.time() >= 1_800_000_060


async def test_async_handlers_await_it_inline_too(world):
    running, clock, log = world
    assert (await running.invoke("inline")).unwrap() is None
    assert (await running.invoke("async_")).unwrap() is None
    await drained(running, clock)
    assert len(log("orders")) == 101
    assert [line.split()[:2] for line in log("clicks")] == [["0", "k"], ["1", "k"]]


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("function:plain", {}, "is a function: invoke it with enqueue('plain', ...)"),
        ("topic:x", {}, "expected a queue ('orders', 'queue:orders') or a stream ('stream:clicks'), found 'topic:x'"),
        ("stream:clicks", {}, "needs a key"),
        ("stream:clicks", {"key": "k", "delay": 1}, "needs a key, by which it is ordered, and nothing else"),
        ("orders", {"key": "k"}, "has no key: its group says what is kept in order"),
        ("orders", {"group": 5}, "group must be a text, found 5: write group=str(...)"),
        ("orders", {"delay": "1"}, "delay must be a number of seconds from 0 to a year, found '1'"),
        ("orders", {"delay": -1}, "delay must be a number of seconds from 0 to a year, found -1"),
        ("queue:fnframe:reports", {}, "are fnframe's own"),
        ("queue:", {}, "expected a name such as 'orders', found ''"),
    ],
)
async def test_what_makes_no_sense_is_told_in_the_handler(world, target, options, words):
    running, *_ = world
    outcome = await running.invoke("wrong", [[target, 1], options])
    assert words in outcome.unwrap()


async def test_a_chain_through_a_queue_stops_at_its_depth(world):
    running, clock, log = world
    await running.queue("round").send(None, id="first")
    await drained(running, clock)
    # The last of them is tried three times, since it is told that it cannot go on.
    assert len(log("round")) == 4 + 3
    (letter,) = await running.engine.queue("round").dead_letters()
    assert b"it is hop 5 of a chain" in letter.error


async def test_producers_outside_of_handlers(world):
    running, clock, log = world
    orders, stream = running.queue("orders"), running.stream("clicks")
    assert await orders.send({"n": 1}, id="same") == "same"
    assert await orders.send({"n": 2}, id="same") == "same"
    assert await stream.publish({"n": 3}, key="k", id="once")
    assert not await stream.publish({"n": 4}, key="k", id="once")
    await drained(running, clock)
    assert (log("orders"), log("clicks")) == (["1 same None"], ["3 k once"])
    with pytest.raises(PayloadTooLarge, match="event for 'queue:orders' has 1,048,578 bytes"):
        await orders.send("x" * 1_048_576)
    with pytest.raises(PayloadTooLarge, match="event for 'stream:clicks'"):
        await stream.publish("x" * 1_048_576, key="k")
    with pytest.raises(ValueError, match="fnframe's own"):
        running.queue("function:plain")
    with pytest.raises(ValueError, match="found ''"):
        running.stream("")
    with pytest.raises(ValueError, match="expected a name such as 'orders', found 5"):
        running.queue(5)
    with pytest.raises(ValueError, match=r"id must be a text, found 5: write id=str\(...\)"):
        await orders.send(1, id=5)  # A database's key, say; it would end the poller.
    with pytest.raises(ValueError, match=r"group must be a text, found '\\ud800'"):
        await orders.send(1, group="\ud800")
    for wrong in (5, None):
        with pytest.raises(ValueError, match="key"):
            await stream.publish(1, key=wrong)
    assert repr(orders) == "<QueueProducer orders>"


async def test_after_the_end_nothing_is_accepted(write_app):
    async with run_target(write_app(APP)) as running:
        orders, stream = running.queue("orders"), running.stream("clicks")
    with pytest.raises(NotRunning):
        await orders.send(1)
    with pytest.raises(NotRunning):
        await stream.publish(1, key="k")


def test_producers_in_synchronous_programs(tmp_path):
    import subprocess
    import sys

    program = tmp_path / "program.py"
    program.write_text(
        """
from fnframe import App, Batch
from fnframe_queue import Queue
from fnframe_stream import Stream

app = App("blocking")

@app.function(Queue("orders"))
def orders(batch: Batch):
    print("orders", batch.data, batch.records[0].key)

@app.function(Stream("clicks"))
def clicks(batch: Batch):
    print("clicks", batch.data)

if __name__ == "__main__":
    import logging
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with app.run_in_thread() as running:
        assert running.queue("orders").send({"n": 1}, id="a", group="g", delay=0.01) == "a"
        assert running.stream("clicks").publish({"n": 2}, key="k", id="b")
        assert not running.stream("clicks").publish({"n": 2}, key="k", id="b")
        running.drained()
"""
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=30, check=True)
    lines = done.stderr.splitlines()
    assert "clicks: clicks [{'n': 2}]" in lines
    assert "orders: orders [{'n': 1}] g" in lines


def test_targets():
    assert str(target_of("orders")) == str(target_of("queue:orders")) == "queue:orders"
    assert target_of("stream:clicks") == ("stream", "clicks")
    for text in ("", "x:y", "queue:", "stream:function:x", None):
        with pytest.raises(ValueError, match="expected"):
            target_of(text)


async def test_a_context_outside_of_an_invocation_sends_nothing():
    from fnframe import Context

    context = Context(request_id="r", function="f", memory=128, deadline=0.0)
    with pytest.raises(RuntimeError, match="belongs to none"):
        context.send("orders", 1)
    assert issubclass(PayloadTooLarge, FnframeError)
    await anyio.lowlevel.checkpoint()
