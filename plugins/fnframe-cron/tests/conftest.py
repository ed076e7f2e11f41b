from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint
from fnframe_cron import Cron, Schedules, Tick
from fnframe_cron.schedules import lifespan

from fnframe import EngineFailed, Event, Function, Manifest, QueueFull
from fnframe.testing.clock import ManualClock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


class Values:
    """`fnframe.State` in a dictionary; `broken` as an engine whose disk is full."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.broken = False

    async def get(self, key: str) -> bytes | None:
        await checkpoint()
        self._check()
        return self.values.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.values[key] = value

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> bool:
        await checkpoint()
        self._check()
        if self.values.get(key) != expected:
            return False
        self.values[key] = value
        return True

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)

    async def items(self, prefix: str = "") -> list[tuple[str, bytes]]:
        return sorted(item for item in self.values.items() if item[0].startswith(prefix))

    def _check(self) -> None:
        if self.broken:
            raise EngineFailed("the disk is full")


class Engine:
    """What several processes share: state by name, and events of which each id is accepted once in an hour."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.states: dict[str, Values] = {}
        self.events: list[Event] = []
        self.groups: list[str | None] = []
        self.pending: set[str] = set()
        self.full = False
        self._accepted: dict[str, float] = {}

    def state(self, name: str) -> Values:
        return self.states.setdefault(name, Values())

    async def enqueue(self, event: Event, group: str | None) -> bool:
        await checkpoint()
        if self.full:
            raise QueueFull("function:sweep", 0)
        now = self.clock.monotonic()
        if self._accepted.get(event.id, -3600.0) > now - 3600.0:
            return False
        self._accepted[event.id] = now
        self.pending.add(event.id)
        self.events.append(event)
        self.groups.append(group)
        return True

    @property
    def ticks(self) -> list[Tick[Any]]:
        return [msgspec.json.decode(event.data, type=Tick) for event in self.events]

    @property
    def instants(self) -> list[int]:
        return [int(event.time.timestamp()) for event in self.events]


class Recorder:
    """`fnframe.Mapping` on an `Engine`."""

    settings = None
    app = "test"
    debug = False
    grace = 1.0
    shared = True
    directory = Path("/nonexistent")

    def __init__(self, trigger: Cron, engine: Engine, function: str = "sweep") -> None:
        self.trigger = trigger
        self.engine = engine
        self.clock = engine.clock
        self.function = Function(name=function, where="test")
        self.state = engine.state(f"{function}:{trigger.identity()}")

    async def enqueue(self, event: Event, *, group: str | None = None) -> bool:
        return await self.engine.enqueue(event, group)

    async def is_pending(self, source: str, event_id: str) -> bool:
        await checkpoint()
        return event_id in self.engine.pending

    async def invoke(self, event: Event) -> Any:
        raise AssertionError("ticks are enqueued")


class Process:
    """`fnframe.lifespan.RunningApp`: one of several processes that run the same app on one engine."""

    shared = True

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = engine.clock
        self.manifest = Manifest(app="test", directory="/", functions=(Function(name="sweep", where="test"),))

    def state(self, name: str) -> Values:
        return self.engine.state(name)

    def mapping(self, function: str, trigger: Cron) -> Recorder:
        return Recorder(trigger, self.engine, function)

    def run_with_triggers(self, run: Any) -> None:
        self.run = run


@asynccontextmanager
async def process(engine: Engine) -> AsyncIterator[Schedules]:
    """The schedules that are added, as one process of several serves them."""
    running = Process(engine)
    async with lifespan(running) as services, anyio.create_task_group() as tasks:
        await tasks.start(_run_companion, running.run)
        yield services["cron"]
        tasks.cancel_scope.cancel()


async def _run_companion(run: Any, *, task_status: Any) -> None:
    await run(task_status=task_status)


@asynccontextmanager
async def serving(*mappings: Recorder) -> AsyncIterator[list[str]]:
    """Run the triggers of these mappings, as the running app does; the texts that they start with."""
    async with anyio.create_task_group() as tasks:
        texts = await tasks.start(_run, mappings)
        yield texts
        tasks.cancel_scope.cancel()


async def _run(mappings: tuple[Recorder, ...], *, task_status: Any) -> None:
    await Cron.run_all(mappings, task_status=task_status)


async def at_rest(clock: ManualClock, count: int = 1) -> None:
    """Wait until so many wait for a moment that has not come."""
    while len([moment for moment in clock.moments() if moment > clock.time()]) < count:
        await checkpoint()


async def pass_time(clock: ManualClock, seconds: float, waiting: int = 1) -> None:
    """Let time pass, moment by moment, each with what it brings done before the next."""
    end = clock.time() + seconds
    await at_rest(clock, waiting)
    while (moment := clock.next_moment()) is not None and moment <= end:
        clock.advance(moment - clock.time())
        await at_rest(clock, waiting)
    clock.advance(end - clock.time())


async def pass_steps(clock: ManualClock, seconds: float) -> None:
    """The same where it is not known how many wait: each moment has so many turns of the event loop, enough for
    what needs nothing else, however fast the machine."""
    end = clock.time() + seconds
    while True:
        for _ in range(40):
            await checkpoint()
        moment = min((at for at in clock.moments() if clock.time() < at <= end), default=None)
        if moment is None:
            return clock.advance(end - clock.time())
        clock.advance(moment - clock.time())


async def until(fact: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a fact; tells on failure that it did not come."""
    with anyio.fail_after(seconds):
        while not fact():
            await anyio.sleep(0.002)


class Kit:
    """What the tests share, since test modules cannot import each other."""

    Engine = Engine
    Recorder = Recorder
    process = staticmethod(process)
    serving = staticmethod(serving)
    at_rest = staticmethod(at_rest)
    pass_time = staticmethod(pass_time)
    pass_steps = staticmethod(pass_steps)
    until = staticmethod(until)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000.0)  # 2027-01-15 08:00 UTC


@pytest.fixture
def engine(clock: ManualClock) -> Engine:
    return Engine(clock)
