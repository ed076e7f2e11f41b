"""Whatever fails, and whenever a host ends: nothing is lost, and order holds within groups and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from facts import drained
from hosts import event_of, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fnframe import App, Batch, QueueTrigger, StreamTrigger
from fnframe.dispatch.queues.asynchronous import Envelope, encode_envelope
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import EngineOptions, Message
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

EXAMPLES = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Orders(QueueTrigger, frozen=True):
    """A stranger's trigger, on a queue of the engine."""

    async def run(self, mapping: Any, *, task_status: Any) -> None:
        await mapping.poll(mapping.queue("orders"), task_status=task_status)


class Clicks(StreamTrigger, frozen=True):
    """A stranger's trigger, on a stream of the engine."""

    async def run(self, mapping: Any, *, task_status: Any) -> None:
        await mapping.poll(mapping.stream("clicks"), task_status=task_status)


class Log:
    """What a handler began with and what it did. Each record says how often it fails, and how."""

    def __init__(self) -> None:
        self.failed: dict[str, int] = {}
        self.begun: list[list[str]] = []
        self.done: set[str] = set()
        self.out_of_turn: list[tuple[str, list[str]]] = []
        self.order: dict[str, list[str]] = {}

    def app(self, trigger: Any) -> App:
        app = App("property")

        @app.function(trigger, isolation="inline")
        async def handle(batch: Batch) -> None:
            names = [record.data["name"] for record in batch]
            self.begun.append(names)
            self._check(names)
            await anyio.lowlevel.checkpoint()
            blocked: set[object] = set()
            for record in batch:
                name, place = record.data["name"], None if record.position else record.key
                if self.failed.get(name, 0) < record.data["fails"]:
                    self.failed[name] = self.failed.get(name, 0) + 1
                    if record.data["how"] == "raise":
                        raise ValueError(name)
                    batch.fail(record)
                    blocked.add(place)
                elif place not in blocked:  # Else it comes again, behind the one that failed.
                    self.done.add(name)

        return app

    def app_of_events(self) -> App:
        """One function, to which events are enqueued."""
        app = App("property")

        @app.function(isolation="inline", retries=20)
        async def handle(event: dict[str, Any]) -> None:
            self._check([event["name"]])
            await anyio.lowlevel.checkpoint()
            if self.failed.get(event["name"], 0) < event["fails"]:
                self.failed[event["name"]] = self.failed.get(event["name"], 0) + 1
                raise ValueError(event["name"])
            self.done.add(event["name"])

        return app

    def _check(self, names: list[str]) -> None:
        """What comes before another in its group or key must be done, or be ahead of it in the same batch."""
        for place, name in enumerate(names):
            for order in self.order.values():
                if name in order:
                    before = set(order[: order.index(name)]) - self.done - set(names[:place])
                    if before:
                        self.out_of_turn.append((name, sorted(before)))


PLANS = st.lists(
    st.fixed_dictionaries(
        {"key": st.sampled_from("ab"), "fails": st.integers(0, 2), "how": st.sampled_from(["raise", "name"])}
    ),
    max_size=10,
)
ENDS = st.lists(st.integers(1, 12), max_size=4)
"""After so many turns a host ends at once, and another takes its place."""


async def work_off(log: Log, app: App, engine: MemoryEngine, clock: ManualClock, ends: list[int]) -> None:
    for turns in ends:
        async with running(app, engine, clock):
            for _ in range(turns):
                clock.advance(0.3)
                await anyio.lowlevel.checkpoint()
    with anyio.fail_after(20):
        async with running(app, engine, clock) as host, anyio.create_task_group() as tasks:

            async def turn() -> None:
                while True:
                    clock.advance(0.3)
                    await anyio.sleep(0)

            tasks.start_soon(turn)
            await host.drained()
            tasks.cancel_scope.cancel()


@EXAMPLES
@given(plan=PLANS, ends=ENDS, size=st.integers(1, 4), concurrency=st.integers(1, 3))
async def test_a_queue_loses_nothing_and_keeps_groups_in_order(plan, ends, size, concurrency):
    log, clock = Log(), ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock))
    trigger = Orders(batch_size=size, window=0.5 * (size % 2), maximum_concurrency=concurrency, maximum_attempts=20)
    app = log.app(trigger if size > 1 else Orders(batch_size=1, maximum_concurrency=concurrency, maximum_attempts=20))
    async with running(App_of_nothing, engine, clock) as host:
        for number, each in enumerate(plan):
            name = f"{each['key']}{number}"
            log.order.setdefault(each["key"], []).append(name)
            await host.queue("orders").send({"name": name, **each}, id=name, group=each["key"])
    await work_off(log, app, engine, clock, ends)
    assert log.out_of_turn == []
    assert log.done == {name for order in log.order.values() for name in order}
    statistics = await engine.queue("orders").statistics()
    assert (statistics.total, statistics.dead) == (0, 0)


@EXAMPLES
@given(plan=PLANS, ends=ENDS)
async def test_events_are_not_lost_and_groups_stay_in_order(plan, ends):
    log, clock = Log(), ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock))
    app = log.app_of_events()
    async with running(App_of_nothing, engine, clock):
        for number, each in enumerate(plan):
            name = f"{each['key']}{number}"
            log.order.setdefault(each["key"], []).append(name)
            body = encode_envelope(Envelope(event_of({"name": name, **each}), name, "t"))
            await engine.queue("function:handle").send([Message(name, body, each["key"])])
    await work_off(log, app, engine, clock, ends)
    assert log.out_of_turn == []
    assert log.done == {name for order in log.order.values() for name in order}


@EXAMPLES
@given(plan=PLANS, ends=ENDS, size=st.integers(1, 4), lanes=st.integers(1, 3), bisect=st.booleans())
async def test_a_stream_loses_nothing_and_keeps_keys_in_order(plan, ends, size, lanes, bisect):
    log, clock = Log(), ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock, stream_partitions=2))
    app = log.app(Clicks(batch_size=size, lanes=lanes, bisect=bisect))
    async with running(App_of_nothing, engine, clock) as host:
        for number, each in enumerate(plan):
            name = f"{each['key']}{number}"
            log.order.setdefault(each["key"], []).append(name)
            await host.stream("clicks").publish({"name": name, **each}, key=each["key"])
    await work_off(log, app, engine, clock, ends)
    assert log.out_of_turn == []
    assert log.done == {name for order in log.order.values() for name in order}


async def test_what_a_host_took_along_again_and_again_is_not_run_once_more():
    """Nobody knows what it does to its host: it is kept where it can be looked at."""
    log, clock = Log(), ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock))
    app = log.app(Orders(batch_size=2))
    queues = engine.queue("function:nothing"), engine.queue("orders")
    await queues[0].send([Message("a", encode_envelope(Envelope(event_of("a"), "r", "t")))])
    await queues[1].send([Message("b", b'{"name":"b","fails":0}')])
    for _ in range(3):
        for queue in queues:
            (lease,) = await queue.receive(1, 30.0)
        clock.advance(31)
        assert not await lease.extend(1.0)
    for each in (App_of_nothing, app):
        async with running(each, engine, clock) as host:
            await drained(host, clock)
    for queue in queues:
        (letter,) = await queue.dead_letters()
        assert "its environment or its host ended 3 times while it ran" in letter.reason + letter.error.decode()
    assert log.begun == []


async def test_what_waited_too_long_is_not_run_any_more():
    log, clock = Log(), ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock))
    app = log.app(Orders(maximum_age=60.0))
    await engine.queue("function:handle").send([Message("a", encode_envelope(Envelope(event_of([]), "r", "t")))])
    await engine.queue("orders").send([Message("b", b'{"name":"b","fails":0}')])
    clock.advance(21_601)
    async with running(app, engine, clock) as host:
        await drained(host, clock)
    (letter,) = await engine.queue("function:handle").dead_letters()
    assert letter.reason == "EventAgeExceeded: it waited too long"
    (letter,) = await engine.queue("orders").dead_letters()
    assert letter.reason == "EventAgeExceeded: older than 60 seconds"
    assert log.begun == []


async def test_what_ends_hosts_is_given_up_on_alone():
    """Each host that ends takes along all that it received ahead, and that must not be condemned for it."""
    clock = ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock))
    begun: list[str] = []
    app = App("deadly")

    @app.function(Orders(batch_size=8, maximum_concurrency=1), isolation="inline")
    async def handle(batch: Batch) -> None:
        begun.extend(record.id for record in batch)
        if any(record.data == "deadly" for record in batch):
            await anyio.sleep_forever()

    for number in range(20):
        data = b'"deadly"' if number == 3 else b'"harmless"'
        await engine.queue("orders").send([Message(f"m{number}", data, "g" if number > 15 else None)])
    for _ in range(3):
        begun.clear()
        async with running(app, engine, clock, dies=True):
            while "m3" not in begun:
                clock.advance(0.1)
                await anyio.lowlevel.checkpoint()
        clock.advance(31)
    assert begun == ["m3"]
    async with running(app, engine, clock) as host:
        await drained(host, clock)
    assert [letter.message.id for letter in await engine.queue("orders").dead_letters()] == ["m3"]


async def test_what_a_stream_let_go_before_its_function_came_to_it_is_told_of(caplog):
    log, clock = Log(), ManualClock()
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock, stream_partitions=1, stream_records=5))
    app = log.app(Clicks(batch_size=1))
    for begin in (0, 10):
        async with running(App_of_nothing, engine, clock) as host:
            for number in range(begin, begin + 10):
                await host.stream("clicks").publish({"name": str(number), "fails": 0}, key="k")
        async with running(app, engine, clock) as host:
            await drained(host, clock)
    assert log.begun == [[str(number)] for number in (*range(5, 10), *range(15, 20))]
    (told,) = [record.getMessage() for record in caplog.records if "were gone" in record.getMessage()]
    assert "function 'handle' is so far behind that records 11-15 were gone before it came to them" in told


App_of_nothing = App("nothing")


@App_of_nothing.function(isolation="inline")
async def nothing() -> None: ...
