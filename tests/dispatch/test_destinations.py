"""Where records go, with apps that run: functions, queues, streams, URLs; and what is told of it."""

from __future__ import annotations

import json
import logging

import anyio
import pytest
from facts import until

from fnframe import ConfigurationError, Event, hookimpl
from fnframe.dispatch.carried import unwrapped
from fnframe.dispatch.settled.outbox import OUTBOX, put_letter
from fnframe.engine.protocol import Message, Record
from fnframe.event import now
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

from .receiver import Receiver

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("routes")


@app.function(retries=0, on_success="queue:done", on_failure="stream:failed")
def routed(event):
    if event == "bad":
        raise ValueError("so bad")
    return {{"got": event}}


@app.function(retries=0, on_success={url!r}, on_failure={url!r})
def posted(event):
    if event == "bad":
        raise ValueError("so bad")
    return {{"got": event}}
"""


class Settled(list):
    @hookimpl
    def fnframe_event_settled(self, function, outcome, attempts, destination):
        self.append((function.name, outcome.report.outcome, attempts, destination))


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def app(write_app, receiver):
    secret = receiver.url.replace("//", "//me:password@") + "/T0/path?token=abc"
    return write_app(APP.format(url=secret))


async def work_off(running, clock) -> None:
    """Turn the clock to each moment that something waits for, until nothing is left."""
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(turn, clock)
            await running.drained()
            tasks.cancel_scope.cancel()


async def turn(clock):
    while True:
        clock.advance(0.1)
        await anyio.sleep(0.002)


async def records_of(stream) -> list[Record]:
    return [record for partition in range(stream.partitions) for record in await stream.read(partition, 0, 100)]


async def test_a_queue_and_a_stream_get_the_record_under_its_id(app):
    settled = Settled()
    async with run_target(app, plugins=[settled]) as running:
        good, bad = await running.enqueue("routed", "good"), await running.enqueue("routed", "bad")
        await running.drained()
        (lease,) = await running.engine.queue("done").receive(10, 60)
        (record,) = await records_of(running.engine.stream("failed"))
    assert lease.message.id == f"direct {good}:routed:outcome"
    told = json.loads(unwrapped(lease.message.body).data)
    assert told["requestContext"]["condition"] == "Success"
    assert (told["requestPayload"], told["responsePayload"]) == ("good", {"got": "good"})
    assert unwrapped(lease.message.body).depth == 1, "a chain of queues and functions ends some time"
    assert (record.id, record.key) == (f"direct {bad}:routed:outcome", bad)
    told = json.loads(unwrapped(record.body).data)
    assert told["requestContext"]["condition"] == "RetriesExhausted"
    assert told["responseContext"]["functionError"] == "Unhandled"
    assert sorted(settled) == [
        ("routed", "ValueError", 1, "stream:failed"), ("routed", "success", 1, "queue:done"),
    ]  # fmt: skip


async def test_a_record_that_is_put_again_is_the_same(app):
    async with run_target(app) as running:
        from fnframe.dispatch.settled.records import range_lost_record

        lost = [Record("k", b"1", position=7, accepted=1.5), Record("k", b"2", position=9, accepted=2.5)]
        record = range_lost_record(
            running.dispatcher.function("routed"), stream="clicks", told_as=("KinesisBatchInfo", "clicks"),
            partition=3, records=lost, condition="RecordAgeExceeded", attempts=0, request_id="r",
        )  # fmt: skip
        for destination in ("queue:lost", "queue:lost", "stream:lost", "stream:lost"):
            await running.destinations.send(destination, record)
        (lease,) = await running.engine.queue("lost").receive(10, 60)
        (stored,) = await records_of(running.engine.stream("lost"))
    assert lease.message.id == stored.id == "clicks:3:7-9:routed:lost"
    told = json.loads(unwrapped(lease.message.body).data)
    assert told["KinesisBatchInfo"] == {
        "shardId": "shardId-000000000003", "startSequenceNumber": "7", "endSequenceNumber": "9", "batchSize": 2,
        "approximateArrivalOfFirstRecord": "1970-01-01T00:00:01.500Z",
        "approximateArrivalOfLastRecord": "1970-01-01T00:00:02.500Z", "streamArn": "clicks",
    }  # fmt: skip
    assert told["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in told


async def test_events_of_one_id_from_two_sources_have_two_records(app):
    from fnframe import Event
    from fnframe.event import now

    async with run_target(app) as running:
        for source in ("a", "b"):
            await running.enqueue("routed", event=Event(id="1", source=source, type="t", time=now()))
        await running.drained()
        leases = await running.engine.queue("done").receive(10, 60)
    assert sorted(lease.message.id for lease in leases) == ["a 1:routed:outcome", "b 1:routed:outcome"]


async def test_a_url_gets_the_record_once_it_answers_well(app, receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answers += [503, "drop", (429, {"retry-after": "9"})]
    clock, settled = ManualClock(), Settled()
    async with run_target(app, plugins=[settled], clock=clock) as running:
        event = await running.enqueue("posted", 5)
        await work_off(running, clock)
        assert not (await running.engine.queue(OUTBOX).statistics()).dead
    assert len(receiver.requests) == 4
    assert len({headers["idempotency-key"] for _, headers, _ in receiver.requests}) == 1
    path, headers, body = receiver.requests[-1]
    assert path == "/T0/path?token=abc"
    assert headers["idempotency-key"] == f"direct%20{event}:posted:outcome"
    assert json.loads(body)["responsePayload"] == {"got": 5}
    assert settled == [("posted", "success", 1, f"{receiver.url}/...")], "of a URL nobody is told more than the host"
    told = [record.getMessage() for record in caplog.records if record.name == "fnframe.destinations"]
    assert [text.partition("; ")[0].rpartition("/... ")[2] for text in told] == [
        "answered 503 Service Unavailable", "cannot be reached (RemoteProtocolError)", "answered 429 Too Many Requests",
    ]  # fmt: skip
    assert float(told[2].rpartition(" in ")[2].removesuffix(" s")) >= 9
    assert not any(secret in caplog.text for secret in ("password", "token", "T0"))


async def test_what_a_url_refuses_lies_among_the_dead_letters(app, receiver, caplog):
    receiver.answers += [404]
    async with run_target(app) as running:
        event = await running.enqueue("posted", "bad")
        await running.drained()
        queue = running.engine.queue(OUTBOX)
        (letter,) = await queue.dead_letters()
        assert letter.reason == f"{receiver.url}/... answered 404 Not Found"
        assert json.loads(letter.error)["errorType"] == "DestinationFailed"
        assert f"direct {event}:posted:outcome was given up on after 1 attempt" in caplog.text
        await queue.redrive([letter.message.id])
        await running.drained()
        assert await queue.dead_letters() == []
    assert [json.loads(body)["requestContext"]["condition"] for _, _, body in receiver.requests] == [
        "RetriesExhausted", "RetriesExhausted",
    ]  # fmt: skip


async def test_a_record_that_cannot_even_be_sent_holds_up_no_other_and_its_url_is_not_told(app, receiver, caplog):
    """Somebody else's, in an engine that several apps share: fnframe's own records are sent as JSON."""
    record = Event(id="1", source="s", type="t", time=now(), datacontenttype="text/\u00e9")
    async with run_target(app, settings={"grace": 0.0}) as running:  # It never can be posted.
        await put_letter(running.engine, f"{receiver.url}/?token=abc", record)
        await running.enqueue("posted", 5)
        await until(lambda: receiver.requests)
        await until(lambda: "posting it raised UnicodeEncodeError; trying again" in caplog.text)
    assert "token" not in caplog.text


async def test_a_url_that_is_down_for_hours_holds_up_no_function_and_is_given_up_on(app, receiver):
    clock, settled = ManualClock(), Settled()
    receiver.answers += [503] * 100_000
    async with run_target(
        app, plugins=[settled], clock=clock, settings={"retry_base": 3600.0, "retry_cap": 3600.0}
    ) as running:
        for number in range(5):
            await running.enqueue("posted", number)
        await until(lambda: len(settled) == 5)
        queue = running.engine.queue(OUTBOX)
        with anyio.fail_after(30):
            while (waiting := await queue.statistics()).total:
                if waiting.delayed == waiting.total:  # What is on its way holds a lease.
                    clock.advance(600)
                await anyio.sleep(0.002)
        letters = await queue.dead_letters()
    assert len(letters) == 5
    assert letters[0].reason.endswith("answered 503 Service Unavailable; it was tried for 6 hours")


async def test_what_waited_for_a_url_is_posted_by_the_next_run(app, receiver):
    receiver.answers += ["hang"]
    async with run_target(app, durable=True, settings={"grace": 0.0}) as running:
        await running.enqueue("posted", 1)
        await until(lambda: receiver.requests)
    async with run_target(app, durable=True) as running:
        await running.drained()
    assert len(receiver.requests) == 2
    assert receiver.requests[0][1]["idempotency-key"] == receiver.requests[1][1]["idempotency-key"]


async def test_a_letter_of_another_version_is_no_record(app):
    async with run_target(app) as running:
        await running.engine.queue(OUTBOX).send([Message("x", b"of another version")])
        running.delivery.poll_outbox()
        await running.drained()
        (letter,) = await running.engine.queue(OUTBOX).dead_letters()
    assert letter.reason.startswith("it is no record: ")


@pytest.mark.parametrize(
    ("path", "problem"), [("file/failed.jsonl", ".*/file is no folder"), ("/dev/null", "it is no regular file")]
)
async def test_a_file_that_cannot_be_written_is_told_at_the_start(write_app, tmp_path, path, problem):
    """Else its records would wait without end."""
    (tmp_path / "file").touch()
    app = write_app(
        f"from fnframe import App\n\napp = App('files')\n\n\n@app.function(on_failure='file:{path}')\n"
        "def keeps(event): ...\n"
    )
    words = f"'keeps': on_failure: no record can be written to .*{path}: {problem}"
    with pytest.raises(ConfigurationError, match=words) as caught:
        async with run_target(app):
            pass
    assert caught.value.where == f"{app}:6"
    async with run_target(app, serve="none") as running:
        assert [function.name for function in running.manifest.functions] == ["keeps"]


async def test_an_app_with_a_url_does_not_start_without_the_library(app, monkeypatch):
    monkeypatch.setattr("fnframe.runtime.bundle.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"'posted': on_success is a URL, which needs: pip install") as caught:
        async with run_target(app):
            pass
    assert caught.value.where == f"{app}:14"
