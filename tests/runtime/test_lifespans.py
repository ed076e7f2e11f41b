"""What plugins add to a running app."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest

from fnframe import ConfigurationError, Event, FunctionNotFound, Trigger, hookimpl
from fnframe.event import now
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("lifespans")


@app.function(isolation="inline")
async def echo(event):
    return event
"""


class Bell(Trigger, frozen=True):
    """A trigger whose events a service feeds."""

    pitch: int = 440


class Plugin:
    """Notes what happens to it, in order."""

    def __init__(self, services=None, *, polls=False, raises=None):
        self.services = services
        self.polls = polls
        self.raises = raises
        self.notes = []
        self.running = None

    @hookimpl
    def fnframe_lifespan(self, running):
        return self.lifespan(running)

    @hookimpl
    def fnframe_event_settled(self, function, event):
        self.notes.append(f"settled {event.id}")

    @asynccontextmanager
    async def lifespan(self, running):
        self.running = running
        running.run_with_triggers(self.run, polls=self.polls)
        self.notes.append("entered")
        yield self.services
        self.notes.append("left")

    async def run(self, *, task_status):
        self.notes.append("begun")
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            self.notes.append("stopped")
            if self.raises:
                raise self.raises


async def test_a_service_is_an_attribute_of_the_running_app(write_app):
    service = object()
    async with run_target(write_app(APP), plugins=[Plugin({"bell": service})]) as running:
        assert running.bell is service
        assert running.service("bell") is service
        with pytest.raises(
            AttributeError, match="a running app has no 'bel', and no plugin offers it, did you mean 'bell'"
        ):
            _ = running.bel


async def test_it_is_around_the_triggers_and_what_they_brought(write_app):
    plugin = Plugin()
    async with run_target(write_app(APP), plugins=[plugin]) as running:
        assert plugin.notes == ["entered", "begun"]
        await running.enqueue("echo", event=event("one"))
    assert plugin.notes[-1] == "left"
    assert set(plugin.notes) == {"entered", "begun", "stopped", "settled one", "left"}
    assert plugin.notes.index("settled one") < plugin.notes.index("left")


@pytest.mark.parametrize(
    ("serve", "polls"), [("none", False), ("none", True), ("calls", False), ("calls", True), ("backlog", False)]
)
async def test_where_no_triggers_are_served_nothing_runs_beside_them(write_app, serve, polls):
    plugin = Plugin(polls=polls)
    async with run_target(write_app(APP), plugins=[plugin], serve=serve):
        assert plugin.running.serves == serve
    assert plugin.notes == ["entered", "left"]


async def test_what_polls_works_off_what_waits(write_app):
    plugin = Plugin(polls=True)
    async with run_target(write_app(APP), plugins=[plugin], serve="backlog"):
        assert plugin.notes == ["entered", "begun"]
    assert plugin.notes == ["entered", "begun", "stopped", "left"]


async def test_it_binds_a_trigger_to_a_function_while_the_app_runs(write_app):
    plugin, clock = Plugin(), ManualClock()
    async with run_target(write_app(APP), plugins=[plugin], clock=clock) as running:
        mapping = plugin.running.mapping("echo", Bell(pitch=220))
        assert (mapping.trigger, mapping.app, mapping.shared, mapping.clock) == (Bell(220), "lifespans", False, clock)
        assert await mapping.enqueue(event("one")) is True
        assert await mapping.enqueue(event("one")) is False
        await running.drained()
        assert not await mapping.is_pending("test", "one")
        with pytest.raises(FunctionNotFound):
            await plugin.running.mapping("ech", Bell()).enqueue(event("two"))
        await plugin.running.state("bells").put("key", b"value")
        assert await running.state("bells").get("key") == b"value"
    assert "settled one" in plugin.notes


@pytest.mark.parametrize("engines", [{}, {"queue:orders": "memory:"}])
async def test_it_is_told_what_queues_hold(write_app, engines):
    plugin = Plugin()
    async with run_target(write_app(APP), plugins=[plugin], settings={"engines": engines}) as running:
        assert await plugin.running.queue_statistics() == {}
        await running.queue("orders").send(1)
        await running.queue("orders").send(2, delay=60)
        await running.queue("bills").send(3)
        told = await plugin.running.queue_statistics()
        assert {name: (held.waiting, held.delayed) for name, held in told.items()} == {
            "bills": (1, 0),
            "orders": (1, 1),
        }


async def test_events_of_one_group_run_one_after_the_other(write_app, tmp_path):
    source = APP + "\n\n@app.function(timeout=30)\ndef slow(name):\n    import pathlib, time\n" + (
        "    here = pathlib.Path(__file__).parent\n    (here / f'{name} begun').touch()\n"
        "    while not (here / f'{name} may end').exists():\n        time.sleep(0.002)\n"
    )  # fmt: skip
    plugin = Plugin()
    async with run_target(write_app(source), plugins=[plugin]) as running:
        mapping = running.mapping("slow", Bell())
        for name in ("one", "two"):
            await mapping.enqueue(event(name), group="g")
        with anyio.fail_after(10):
            while not (tmp_path / "one begun").exists():
                await anyio.sleep(0.002)
        assert await mapping.is_pending("test", "one")
        assert await mapping.is_pending("test", "two")
        (tmp_path / "two may end").touch()
        (tmp_path / "one may end").touch()
        await running.drained()
        assert not await mapping.is_pending("test", "two")
    assert [note for note in plugin.notes if note.startswith("settled")] == ["settled one", "settled two"]


@pytest.mark.parametrize(
    ("services", "problem"),
    [
        ({"manifest": 1}, r"fnframe_lifespan cannot bring running\.manifest: this is there already, or no name"),
        ({"engine": 1}, r"cannot bring running\.engine"),
        ({"no name": 1}, r"cannot bring running\.no name"),
        ([1], r"fnframe_lifespan must yield services by name, or nothing; found \[1\]"),
    ],
)
async def test_what_it_cannot_offer_is_refused(write_app, services, problem):
    plugin = Plugin(services)
    with pytest.raises(ConfigurationError, match=problem):
        async with run_target(write_app(APP), plugins=[plugin]):
            pass


async def test_two_that_offer_one_name_are_refused(write_app):
    with pytest.raises(ConfigurationError, match=r"plugin Plugin \d: fnframe_lifespan cannot bring running\.bell"):
        async with run_target(write_app(APP), plugins=[Plugin({"bell": 1}), Plugin({"bell": 2})]):
            pass


class NoContext:
    @hookimpl
    def fnframe_lifespan(self, running):
        return {"bell": 1}


async def test_a_hook_that_gives_no_context_manager_is_refused(write_app):
    with pytest.raises(ConfigurationError, match=r"must return an async context manager, .* found \{'bell': 1\}"):
        async with run_target(write_app(APP), plugins=[NoContext()]):
            pass


async def test_what_its_companion_raises_ends_the_app(write_app):
    with pytest.raises(ZeroDivisionError):
        async with run_target(write_app(APP), plugins=[Plugin(raises=ZeroDivisionError())]) as running:
            running._triggers._services["companion 0"].scope.cancel()
            await anyio.sleep_forever()


def event(name: str) -> Event:
    return Event(id=name, source="test", type="test", time=now(), data=b'"' + name.encode() + b'"')
