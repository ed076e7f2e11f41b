"""Filters of triggers: what does not fit is not run, whichever way it would have come in."""

from __future__ import annotations

import pytest

from fnframe import Event, Success, hookimpl
from fnframe.event import now
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

PLUGIN = """
import anyio
from fnframe import Event, Trigger, hookimpl
from fnframe.event import encode_json, now


class Sensor(Trigger):
    how: str
    values: tuple[int, ...]

    async def run(self, mapping, *, task_status):
        hand_over = mapping.invoke if self.how == "invoke" else mapping.enqueue
        said = []
        for number, value in enumerate(self.values):
            data = encode_json({"value": value})
            event = Event(id=str(number), source="sensor", type=self.how, time=now(), subject=f"s{value}", data=data)
            said.append(await hand_over(event))
        said = [s if isinstance(s, bool) else s.report.outcome for s in said]
        task_status.started(" ".join(map(str, said)))
        await anyio.sleep_forever()


@hookimpl
def fnframe_register_triggers():
    return [Sensor]
"""

APP = """
from fnframe import App
from fnframe_plugins import Sensor

app = App("sensors")
HIGH = {"data": {"value": [{"numeric": [">", 10]}]}}


@app.function(Sensor("enqueue", (5, 15, 5, 25), filter=HIGH))
def enqueued(event):
    return event


@app.function(Sensor("invoke", (15, 5), filter=[HIGH, {"subject": ["s7"]}]), Sensor("enqueue", (7, 8)))
def invoked(event):
    return event
"""


class Heard:
    def __init__(self):
        self.filtered, self.ran, self.settled = [], [], []

    @hookimpl
    def fnframe_event_filtered(self, function, event, trigger):
        self.filtered.append((function.name, event.subject, trigger))

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.ran.append((report.function, report.event_id))

    @hookimpl
    def fnframe_event_settled(self, function, event):
        self.settled.append((function.name, event.subject))


@pytest.fixture
def sensors(write_app, tmp_path):
    (tmp_path / "fnframe_plugins.py").write_text(PLUGIN)
    return write_app(APP)


async def test_what_does_not_fit_is_neither_run_nor_reported_nor_settled(sensors):
    heard = Heard()
    async with run_target(sensors, plugins=[heard]) as running:
        await running.drained()
        texts = dict(running.started)
    assert sorted(heard.filtered) == [
        ("enqueued", "s5", "sensor"), ("enqueued", "s5", "sensor"), ("invoked", "s5", "sensor"),
    ]  # fmt: skip
    assert sorted(heard.ran) == [
        ("enqueued", "1"), ("enqueued", "3"), ("invoked", "0"), ("invoked", "0"), ("invoked", "1"),
    ]  # fmt: skip
    assert sorted(heard.settled) == [("enqueued", "s15"), ("enqueued", "s25"), ("invoked", "s7"), ("invoked", "s8")]
    assert texts["enqueued"] == "True True True True", "a trigger has nothing more to do for what was filtered"


async def test_an_invocation_that_is_filtered_is_a_success_of_nothing(sensors):
    async with run_target(sensors) as running:
        (mapping, _) = running.mappings(running.plugins.trigger_types["sensor"])[1:]
        event = event_of(b'{"value": 1}')
        outcome = await mapping.invoke(event)
        assert isinstance(outcome, Success)
        assert outcome.value() is None
        report = outcome.report
        assert (report.outcome, report.duration_ms, report.cpu_ms) == ("filtered", 0.0, None)
        assert (report.function, report.event_id, report.trigger) == ("invoked", event.id, "sensor")
        assert not mapping.passes(event)
        assert mapping.passes(event_of(b'{"value": 11}'))


def event_of(data):

    return Event(id="e", source="s", type="t", time=now(), data=data)
