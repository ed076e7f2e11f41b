"""Asynchronous invocations: accepted once, retried with backoff, ended at a destination, never lost."""

from __future__ import annotations

import json
import subprocess
import sys

import anyio
import pytest
from facts import drained, until

from fnframe import Event, Failure, FunctionNotFound, PayloadTooLarge, QueueFull, hookimpl
from fnframe.engine.protocol import Message
from fnframe.event import now
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

APP = """
import os, time
from pathlib import Path
from fnframe import App, Context, Event, Limits

app = App("asynchronous", limits=Limits(depth=4))
HERE = Path(__file__).parent


def note(text):
    with open(HERE / "log", "a") as log:
        log.write(f"{text}\\n")


@app.function()
def works(event, context: Context):
    note(f"works {event} {context.attempt} {context.request_id}")


@app.function(retries=2, on_failure="file:out/failed.jsonl")
def fails(event, context: Context):
    note(f"fails {event} {context.attempt} {context.request_id}")
    raise ValueError(f"no {event}")


@app.function(retries=5, on_failure="function:hears", on_success="function:hears")
def third_time(event, context: Context):
    note(f"third_time {context.attempt}")
    if context.attempt < 3:
        os._exit(9)
    return event


@app.function(retries=0, on_failure="function:hears")
def hopeless(event):
    raise ValueError("hopeless")


@app.function()
def hears(record):
    told = record['requestContext']
    note(f"hears {told['functionArn']} {told['condition']} {told['approximateInvokeCount']} {record['requestPayload']} "
         f"{record.get('responsePayload')}")


@app.function(maximum_age=10.0, retries=100)
def ages(event):
    note("ages")
    raise ValueError("again")


@app.function(on_success="file:blocked/file.jsonl")
def cannot_tell(event):
    note("cannot_tell")


@app.function(on_success="function:works")
def returns_much(event):
    return "x" * 1_100_000


@app.function(retries=1)
def sends(event, context: Context):
    ids = [context.enqueue("works", n) for n in range(2)]
    note(f"sends {ids}")
    raise ValueError("after sending")


@app.function(retries=0)
def chain(event, context: Context):
    note("chain")
    context.enqueue("chain", None)


@app.function(retries=9)
def kills(event, context: Context):
    note(f"kills {context.attempt}")
    os._exit(1)


@app.function(reserved_concurrency=0, on_failure="function:hears")
def blocked(event): ...


@app.function(timeout=30.0)
def holds(path):
    while not Path(path).exists():
        time.sleep(0.005)
"""


class Listener:
    def __init__(self):
        self.settled = []
        self.reports = []

    @hookimpl
    def fnframe_event_settled(self, function, outcome, attempts, destination):
        self.settled.append((function.name, outcome.report.outcome, attempts, destination))

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.reports.append(report)


@pytest.fixture
async def world(write_app, tmp_path):
    clock, listener = ManualClock(), Listener()
    async with run_target(write_app(APP), clock=clock, plugins=[listener]) as running:

        def log():
            path = tmp_path / "log"
            return path.read_text().splitlines() if path.exists() else []

        yield running, clock, listener, log


async def test_success_settles(world):
    running, clock, listener, log = world
    event_id = await running.enqueue("works", 7)
    await drained(running, clock)
    assert log()[0].startswith("works 7 1 ")
    assert listener.settled == [("works", "success", 1, None)]
    (report,) = listener.reports
    assert (report.invocation_type, report.trigger, report.event_id) == ("asynchronous", "direct", event_id)


async def test_two_retries_then_the_destination(world, tmp_path):
    running, clock, listener, log = world
    await running.enqueue("fails", "x")
    await drained(running, clock)
    lines = [line.split() for line in log()]
    assert [line[2] for line in lines] == ["1", "2", "3"]
    assert len({line[3] for line in lines}) == 1, "one request id for all attempts, as in Lambda"
    assert listener.settled == [("fails", "ValueError", 3, "file:out/failed.jsonl")]
    record = json.loads((tmp_path / "out" / "failed.jsonl").read_text())
    assert record["version"] == "1.0"
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"] == "x"
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "no x"


async def test_a_crash_is_retried_and_destinations_chain(world):
    running, clock, listener, log = world
    await running.enqueue("third_time", {"a": 1})
    await running.enqueue("hopeless", 5)
    await drained(running, clock)
    assert [line for line in log() if line.startswith("third")] == [f"third_time {n}" for n in (1, 2, 3)]
    heard = sorted(line for line in log() if line.startswith("hears"))
    assert heard[0].startswith("hears hopeless RetriesExhausted 1 5 {'errorMessage': 'hopeless'")
    assert heard[1] == "hears third_time Success 3 {'a': 1} {'a': 1}"
    assert ("third_time", "success", 3, "function:hears") in listener.settled


async def test_an_event_that_is_too_old_ends(world):
    running, clock, listener, log = world
    await running.enqueue("ages", None)
    await drained(running, clock)
    assert 2 <= len(log()) < 100
    assert listener.settled[0][:2] == ("ages", "ValueError")


async def test_an_id_is_accepted_once(world):
    running, clock, _, log = world
    event = Event(id="same", source="s", type="t", time=now(), data=b"1")
    assert await running.accept("works", event, trigger="t")
    assert not await running.accept("works", event, trigger="t")
    await drained(running, clock)
    assert len(log()) == 1


async def test_a_destination_that_cannot_be_reached_is_tried_again_without_the_function(world, tmp_path, caplog):
    running, clock, listener, log = world
    (tmp_path / "blocked").touch()
    await running.enqueue("cannot_tell", 1)
    with anyio.fail_after(10):
        while len(caplog.records) < 3:
            clock.advance(10)
            await anyio.sleep(0.002)
    assert "could not be put to file:blocked/file.jsonl (FileExistsError" in caplog.messages[0]
    assert listener.settled == []
    assert await running.engine.queues() == ["function:cannot_tell"]
    (tmp_path / "blocked").unlink()
    await drained(running, clock)
    assert listener.settled == [("cannot_tell", "success", 1, "file:blocked/file.jsonl")]
    assert log() == ["cannot_tell"]


async def test_a_record_is_not_lost_where_retries_do_not_wait(write_app, tmp_path, caplog):
    listener = Listener()
    settings = {"retry_base": 0.0}
    async with run_target(write_app(APP), settings=settings, plugins=[listener]) as running:
        (tmp_path / "blocked").touch()
        await running.enqueue("cannot_tell", 1)
        await until(lambda: len(caplog.records) > 1)
        (tmp_path / "blocked").unlink()
        await running.drained()
    assert listener.settled == [("cannot_tell", "success", 1, "file:blocked/file.jsonl")]


async def test_a_record_that_its_destination_will_never_take_is_told_and_ends(world, caplog):
    running, clock, listener, _ = world
    await running.enqueue("returns_much", None)
    await drained(running, clock)
    assert ("returns_much", "success", 1, None) in listener.settled
    assert "could not be put to function:works (PayloadTooLarge: " in caplog.text
    assert "it is lost" in caplog.text


async def test_records_are_lines_of_json_whatever_they_hold(world, tmp_path):
    running, clock, _, _ = world
    deep = b"[" * 100_000
    for payload in (b'{"a":\r\n1}', b"", b"no json\n", b"\xff\n", b'"' + b"9" * 30 + b'"', b'"\xff"', deep):
        await running.enqueue("fails", payload=payload)
    await drained(running, clock)
    records = [json.loads(line) for line in (tmp_path / "out" / "failed.jsonl").read_text().splitlines()]
    # In no order: retries wait for random times.
    payloads = [record["requestPayload"] for record in records]
    expected = [{"a": 1}, "", "no json\n", "/wo=", "9" * 30, "Iv8i", deep.decode()]
    assert sorted(payloads, key=str) == sorted(expected, key=str)


async def test_a_message_that_is_no_event_is_dropped_with_a_word(world, caplog):
    running, clock, _, log = world
    await running.engine.queue("function:works").send([Message("x", b"of another version")])
    await running.enqueue("works", 1)
    await drained(running, clock)
    assert "message x is no event" in caplog.text
    assert len(log()) == 1


async def test_what_a_handler_sent_stands_and_a_retry_repeats_it(world):
    running, clock, _, log = world
    await running.enqueue("sends", None)
    await drained(running, clock)
    assert sum(line.startswith("sends") for line in log()) == 2
    assert sorted(line.split()[1] for line in log() if line.startswith("works")) == ["0", "1"]
    first, second = [line for line in log() if line.startswith("sends")]
    assert first == second, "the ids derive from the event's id"


async def test_a_chain_of_functions_stops_at_its_depth(world):
    running, clock, listener, log = world
    await running.enqueue("chain", None)
    await drained(running, clock)
    assert len(log()) == 5
    # In no order: a hop may end before the one that sent it.
    assert sorted(outcome for _, outcome, *_ in listener.settled) == ["FnframeError", *["success"] * 4]


async def test_an_event_that_is_given_up_on_is_kept_among_the_dead_letters_unless_it_has_a_destination(world):
    running, clock, _, log = world
    await running.enqueue("ages", None)
    await running.enqueue("kills", None)
    await running.enqueue("hopeless", 5)
    await drained(running, clock)
    (letter,) = await running.engine.queue("function:ages").dead_letters()
    assert letter.reason.startswith("EventAgeExceeded after ")
    assert json.loads(letter.error)["errorMessage"] == "again"
    (letter,) = await running.engine.queue("function:kills").dead_letters()
    assert letter.reason == "RetriesExhausted after 3 attempts: Runtime.ExitError"
    assert log().count("kills 3") == 1, "an event that ends its environment is tried no more than three times"
    assert "kills 4" not in log()
    assert await running.engine.queue("function:hopeless").dead_letters() == []


async def test_a_function_without_concurrency_sends_its_events_to_where_failures_go(world):
    running, clock, listener, log = world
    await running.enqueue("blocked", 3)
    await drained(running, clock)
    assert ("blocked", "TooManyRequestsException", 0, "function:hears") in listener.settled
    (line,) = log()
    assert line.startswith("hears blocked ZeroReservedConcurrency 0 3 None"), "of what never ran there is no response"


async def test_reports_are_kept_with_what_they_settle(world):
    from fnframe.engine.protocol import REPORTS

    running, clock, _, _ = world
    await running.enqueue("third_time", 1)
    await running.enqueue("ages", 1)
    await drained(running, clock)
    records = await running.engine.stream(REPORTS).read(0, 0, 1000)
    kept = [json.loads(record.body) for record in records if record.key == "third_time"]
    assert [(report["attempt"], report["outcome"]) for report in kept] == [
        (1, "Runtime.ExitError"),
        (2, "Runtime.ExitError"),
        (3, "success"),
    ]
    assert len({report["request_id"] for report in kept}) == 1
    assert len([record for record in records if record.key == "ages"]) >= 2


async def test_what_cannot_be_accepted_says_why(world, write_app):
    running, *_ = world
    with pytest.raises(FunctionNotFound, match="did you mean 'works'"):
        await running.enqueue("work", 1)
    with pytest.raises(PayloadTooLarge, match="1,048,577 bytes of data; the limit here is 1,048,576"):
        await running.enqueue("works", payload=b" " * 1_048_577)
    async with run_target(write_app(APP), settings={"queue_bound": 2, "grace": 0.0}) as small:
        with pytest.raises(QueueFull, match="holds 2 events"):
            for _ in range(3):
                await small.enqueue("holds", "/nonexistent")


async def test_the_end_gives_back_what_was_not_done(write_app, tmp_path):
    gate = tmp_path / "gate"
    listener = Listener()
    async with run_target(
        write_app(APP), durable=True, settings={"grace": 0.0, "max_environments": 1}, plugins=[listener]
    ) as running:
        for _ in range(3):
            await running.enqueue("holds", str(gate))
        with anyio.fail_after(10):
            while not running.pool.statistics()["live"]:
                await anyio.sleep(0.001)
    assert listener.settled == []
    gate.touch()
    async with run_target(write_app(APP), durable=True, plugins=[listener]) as running:
        await running.drained()
    assert [entry[:3] for entry in listener.settled] == [("holds", "success", 1)] * 3


async def test_throttled_events_wait_and_lose_no_attempt(write_app, tmp_path):
    source = APP.replace("@app.function(timeout=30.0)", "@app.function(timeout=30.0, reserved_concurrency=1)")
    clock, listener, gate = ManualClock(), Listener(), tmp_path / "gate"
    async with run_target(write_app(source), clock=clock, plugins=[listener]) as running:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "holds", str(gate))
            with anyio.fail_after(10):
                while not running.pool.statistics()["live"]:
                    await anyio.sleep(0.001)
            await running.enqueue("holds", str(gate))
            with anyio.fail_after(10):
                while not any(report.outcome == "TooManyRequestsException" for report in listener.reports):
                    await anyio.sleep(0.001)
            gate.touch()
        await drained(running, clock)
    assert listener.settled == [("holds", "success", 1, None)]


async def test_failures_are_values(world):
    running, *_ = world
    outcome = await running.invoke("fails", 1)
    assert isinstance(outcome, Failure)


def test_a_line_that_does_not_fit_leaves_no_half_of_itself(tmp_path):
    """A bound on the size of files stands for a full disk: the write is cut short in the same way."""
    path = tmp_path / "failed.jsonl"
    program = f"""
import resource, sys
from pathlib import Path
from fnframe.dispatch.settled.destinations import _append
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
_append(Path({str(path)!r}), b"a" * 800)
try:
    _append(Path({str(path)!r}), b"b" * 800)
except OSError as error:
    print(type(error).__name__)
_append(Path({str(path)!r}), b"c" * 100)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "OSError\n"
    assert path.read_text() == "a" * 800 + "\n" + "c" * 100 + "\n"
