"""How a host ends: in order within a grace, or at once. What it did not finish is another's, as it was."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest
from facts import until
from fnframe_sqlite import SqliteEngine
from hosts import event_of, running

from fnframe import App, Batch, Context, QueueTrigger, StreamTrigger
from fnframe.clock import SystemClock
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import REPORTS, EngineOptions
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


class Orders(QueueTrigger, frozen=True):
    async def run(self, mapping: Any, *, task_status: Any) -> None:
        await mapping.poll(mapping.queue("orders"), task_status=task_status)


class Clicks(StreamTrigger, frozen=True):
    async def run(self, mapping: Any, *, task_status: Any) -> None:
        await mapping.poll(mapping.stream("clicks"), task_status=task_status)


class World:
    """An app of one function, whose handlers wait at a gate, and an engine that outlives its hosts."""

    def __init__(self, *triggers: Any) -> None:
        self.clock = ManualClock()
        self.engine = MemoryEngine(EngineOptions(directory=Path(), clock=self.clock, stream_partitions=1))
        self.gate = anyio.Event()
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.app = App("ending")

        @self.app.function(*triggers, isolation="inline", timeout=60.0)
        async def handle(event: Any, context: Context) -> None:
            self.begun.append((event, context.attempt))
            await self.gate.wait()
            self.ended.append(event)

    def host(self) -> Any:
        return running(self.app, self.engine, self.clock)

    async def counts(self, queue: str) -> tuple[int, int, int]:
        statistics = await self.engine.queue(queue).statistics()
        return statistics.waiting, statistics.leased, statistics.dead

    async def reports(self) -> int:
        return len(await self.engine.stream(REPORTS).read(0, 0, 1000))


@pytest.fixture
async def world() -> Any:
    return World


async def test_what_runs_may_finish_and_nothing_else_begins(world):
    world = world(Orders(batch_size=1, maximum_concurrency=2))
    async with world.host() as host:
        for n in range(6):
            await host.queue("orders").send(n, group="g" if n > 3 else None)
        await until(lambda: len(world.begun) == 2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.stop, 5.0)
            await anyio.wait_all_tasks_blocked()
            assert await world.counts("orders") == (4, 2, 0), "what did not begin is given back at once"
            world.gate.set()
        assert await world.counts("orders") == (4, 0, 0)
        assert await world.reports() == 2
    assert (sorted(world.ended), len(world.begun)) == ([0, 1], 2)
    async with world.host() as host:
        await host.drained()
    assert sorted(world.ended) == [0, 1, 2, 3, 4, 5]
    assert {attempt for _, attempt in world.begun} == {1}


async def test_what_does_not_finish_within_the_grace_is_given_back_as_it_was(world):
    world = world(Orders(batch_size=1, maximum_concurrency=2))
    async with world.host() as host:
        for n in range(2):
            await host.queue("orders").send(n)
        await host.acceptance.enqueue("handle", event_of(7), trigger="t")
        await until(lambda: len(world.begun) == 3)
        await host.stop(0.01)
        assert await world.counts("orders") == (2, 0, 0)
        assert await world.counts("function:handle") == (1, 0, 0)
    world.gate.set()
    async with world.host() as host:
        await host.drained()
    assert sorted(world.ended) == [0, 1, 7]
    assert {attempt for _, attempt in world.begun} == {1}, "an end is no failure of the function"


async def test_a_second_signal_ends_at_once(world):
    world = world(Orders(batch_size=1), Clicks(batch_size=1))
    async with world.host() as host:
        await host.queue("orders").send(1)
        await host.stream("clicks").publish(2, key="k")
        await host.acceptance.enqueue("handle", event_of(3), trigger="t")
        await until(lambda: len(world.begun) == 3)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.stop, 60.0)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(2):
                host.delivery.end()
                for queue in ("orders", "function:handle"):
                    while await world.counts(queue) != (1, 0, 0):
                        await anyio.sleep(0.001)
    world.gate.set()
    async with world.host() as host:
        await host.drained()
    assert sorted(world.ended) == [1, 2, 3]


def is_locked(file: Path) -> bool:
    with file.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_what_has_ended_is_settled_by_a_second_signal_and_not_given_back(tmp_path):
    """Its acknowledgement waits while the engine is busy: what is done must not be done again for that."""
    gate, begun, done = anyio.Event(), [], []
    app = App("busy")

    @app.function(Orders(batch_size=1), isolation="inline", timeout=60.0)
    async def handle(order: int) -> None:
        begun.append(order)
        await gate.wait()
        done.append(order)

    async with SqliteEngine("sqlite:///engine.db", EngineOptions(directory=tmp_path)) as engine:
        async with running(app, engine, SystemClock()) as host, anyio.create_task_group() as tasks:
            await host.queue("orders").send(1)
            await until(lambda: begun)
            blocker = apsw.Connection(str(tmp_path / "engine.db"))
            blocker.execute("BEGIN IMMEDIATE")
            tasks.start_soon(host.queue("orders").send, 2)
            await until(lambda: is_locked(tmp_path / "engine.db.d" / "lock"))
            gate.set()
            await until(lambda: done)
            await anyio.wait_all_tasks_blocked()
            host.delivery.end()
            await anyio.wait_all_tasks_blocked()
            blocker.execute("ROLLBACK")
            await host.delivery.ended()
            assert (await engine.queue("orders").statistics()).total == 1
            assert len(await engine.stream(REPORTS).read(0, 0, 10)) == 1
        async with running(app, engine, SystemClock()) as host:
            await host.drained()
    assert done == [1, 2]


async def test_a_stream_goes_on_where_it_was(world):
    world = world(Clicks(batch_size=1))
    async with world.host() as host:
        for n in range(3):
            await host.stream("clicks").publish(n, key="k")
        await until(lambda: len(world.begun) == 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.stop, 5.0)
            await anyio.wait_all_tasks_blocked()
            world.gate.set()
    assert world.ended == [0]
    assert await world.reports() == 1
    async with world.host() as host:
        await host.drained()
    assert world.ended == [0, 1, 2]
    assert await world.reports() == 3


async def test_a_pause_between_attempts_does_not_hold_up_the_end(world):
    world = world()
    app = App("failing")

    @app.function(Clicks(batch_size=1), isolation="inline")
    async def fails(batch: Batch) -> None:
        world.begun.append(batch[0].data)
        raise ValueError("no")

    async with running(app, world.engine, world.clock) as host:
        await host.stream("clicks").publish(1, key="k")
        await until(lambda: world.begun)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(2):
            await host.stop(60.0)


async def test_partitions_are_shared_fairly_and_taken_over(world):
    """Two hosts, then one; each key is in one of them at a time, and its order holds."""
    clock, seen = ManualClock(), []
    engine = MemoryEngine(EngineOptions(directory=Path(), clock=clock, stream_partitions=4))

    def app(name: str) -> App:
        app = App(name)

        @app.function(Clicks(batch_size=1), isolation="inline")
        async def count(batch: Batch) -> None:
            seen.append((name, batch.partition, batch[0].data))

        return app

    async def publish(host: Any, n: int) -> None:
        for key in "abcdefghijkl":
            await host.stream("clicks").publish(n, key=key)

    async def passing(seconds: int) -> None:
        for _ in range(seconds):
            clock.advance(1.0)
            for _ in range(20):
                await anyio.lowlevel.checkpoint()

    async with running(app("first"), engine, clock) as first:
        await publish(first, 0)
        await until(lambda: len(seen) == 12)
        async with running(app("second"), engine, clock) as second:
            await passing(10)
            seen.clear()
            await publish(first, 1)
            await until(lambda: len(seen) == 12)
            by_host = {name: {partition for host, partition, _ in seen if host == name} for name in ("first", "second")}
            assert [len(partitions) for partitions in by_host.values()] == [2, 2]
            await second.stop(5.0)
            await passing(10)
            seen.clear()
            await publish(first, 2)
            await until(lambda: len(seen) == 12)
            assert {name for name, *_ in seen} == {"first"}
        await first.drained()
