"""What a plugin raises while a message is handled: that message fails, and what serves the others goes on."""

from __future__ import annotations

import json

import anyio
import pytest

from fnframe import Event, hookimpl
from fnframe.batch_event import origin_of
from fnframe.event import encode_json, now
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

PARTS = """
import anyio
from fnframe import QueueTrigger, StreamTrigger, Trigger


class Raises:
    @classmethod
    def header(cls, event, name):
        if b"bad" in event.data:
            raise LookupError("no header can be read")
        return "somebody"

    def document(self, event, names):
        if b"unseen" in event.data:
            raise LookupError("no document can be made")
        return super().document(event, names)


class Bell(Raises, Trigger, frozen=True):
    async def run(self, mapping, *, task_status):
        task_status.started()
        await anyio.sleep_forever()


class Orders(Raises, QueueTrigger, frozen=True):
    async def run(self, mapping, *, task_status):
        await mapping.poll(mapping.queue("orders"), task_status=task_status)


class Clicks(Raises, StreamTrigger, frozen=True):
    async def run(self, mapping, *, task_status):
        await mapping.poll(mapping.stream("clicks"), task_status=task_status)
"""

APP = """
from pathlib import Path

from fnframe import App, Batch
from parts import Bell, Clicks, Orders

app = App("raising")
FITS = {"data": [{"anything-but": "filtered"}]}


def note(*texts):
    with open(Path(__file__).parent / "log", "a") as log:
        log.write("".join(f"{text}\\n" for text in texts))


@app.function(Bell(), tenant="header:x", retries=1)
def rung(event):
    note(event)


@app.function(Orders(filter=FITS, maximum_attempts=2), tenant="header:x")
def ordered(batch: Batch):
    note(*[record.data for record in batch])


@app.function(Clicks(filter=FITS, maximum_attempts=2, on_failure="file:lost.jsonl"), tenant="header:x")
def clicked(batch: Batch):
    note(*[record.data for record in batch])
"""

PLUGIN = """
import fnframe
from parts import Bell, Clicks, Orders

@fnframe.hookimpl
def fnframe_register_triggers():
    return [Bell, Clicks, Orders]
"""

QUICK = {"retry_base": 0.01, "retry_cap": 0.02, "stream_partitions": 1}
GOOD = ["good 1", "good 2", "good 3"]


class Settled:
    """Counts the messages and records that came to their end, as observers are told."""

    def __init__(self):
        self.count = 0

    @hookimpl
    def fnframe_event_settled(self, event):
        self.count += len(origin_of(event).items)


@pytest.fixture
def settled():
    return Settled()


@pytest.fixture
async def running(tmp_path, settled):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "fnframe_plugins.py").write_text(PLUGIN)
    async with run_target(str(tmp_path), settings=QUICK, plugins=[settled]) as running:
        yield running


def handled(folder):
    return sorted((folder / "log").read_text().splitlines())


async def dead(running, queue):
    """The reasons and errors of the dead letters."""
    found = await running.engine.queue(queue).dead_letters()
    return [(letter.reason, json.loads(letter.error)) for letter in found]


async def drained(running):
    with anyio.fail_after(20):
        await running.drained()


async def test_an_event_is_retried_and_lies_among_the_dead_letters(running, tmp_path, caplog):
    (mapping,) = running.mappings(running.plugins.trigger_types["bell"])
    for data in ["good 1", "bad", "good 2", "good 3"]:
        event = Event(id=data, source="bell", type="rung", time=now(), data=encode_json(data))
        await mapping.enqueue(event)
    await drained(running)
    assert handled(tmp_path) == GOOD
    ((reason, error),) = await dead(running, "function:rung")
    assert reason == "RetriesExhausted after 2 attempts: ServiceException"
    assert error["errorMessage"] == "handling it raised LookupError: no header can be read"
    told = [
        record for record in caplog.records if "handling it raised, which counts as a failed attempt" in record.message
    ]
    assert len(told) == 2
    assert "no header can be read" in told[0].exc_text
    assert told[0].message.startswith("function 'rung': event bell bad: ")


@pytest.mark.parametrize(("data", "cause"), [("bad", "no header can be read"), ("unseen", "no document can be made")])
async def test_a_message_takes_no_other_with_it(running, tmp_path, settled, caplog, data, cause):
    queue = running.queue("orders")
    for each in ["good 1", data, "good 2", "filtered", "good 3"]:
        await queue.send(each, id=each)
    await drained(running)
    assert handled(tmp_path) == GOOD
    assert settled.count == 4
    ((reason, error),) = await dead(running, "orders")
    assert reason == "RetriesExhausted after 2 attempts: ServiceException"
    assert error["errorMessage"] == f"handling it raised LookupError: {cause}"
    told = [
        record for record in caplog.records if "handling it raised, which counts as a failed attempt" in record.message
    ]
    assert all(data in record.message and cause in record.exc_text for record in told)


@pytest.mark.parametrize(("data", "cause"), [("bad", "no header can be read"), ("unseen", "no document can be made")])
async def test_a_record_is_given_up_on_and_the_stream_goes_on(running, tmp_path, settled, caplog, data, cause):
    stream = running.stream("clicks")
    for each in ["good 1", data, "good 2", "filtered", "good 3"]:
        await stream.publish(each, key="k")
    await drained(running)
    assert handled(tmp_path) == GOOD
    assert settled.count == 4
    (lost,) = (tmp_path / "lost.jsonl").read_text().splitlines()
    place = json.loads(lost)["KinesisBatchInfo"]
    assert place["startSequenceNumber"] == place["endSequenceNumber"] == "2"
    assert any("handling it raised, which counts as a failed attempt" in record.message for record in caplog.records)
    assert cause in caplog.text
