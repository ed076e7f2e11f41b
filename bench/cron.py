"""Schedules: how late 500 in a second and 1,000 at once fire, what 100,000 cost at the start and at rest, next times.

fnframe runs whole: trigger, engine in memory, poller, and an inline handler that looks at the clock. `fired` is when
the trigger handed an event over, `late` when the handler began; a peer's job is a function that looks at the clock.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import os
import random
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio

from .harness import Figures, Goal, case, main

SECONDS = 6
MANY = 100_000
IDLE = 10.0
BERLIN = ZoneInfo("Europe/Berlin")
BASE = datetime(2026, 3, 1, 12, 34, 56, tzinfo=BERLIN)

GOALS = [
    Goal("500/s: fnframe", "fired_p99_ms", at_most=15.0, unit="ms"),
    Goal("500/s: fnframe", "late_p99_ms", against="500/s: APScheduler 3", at_most=1.0),
    Goal("1,000 at once: fnframe", "late_p50_ms", at_most=100.0, unit="ms"),
    Goal("100,000: ready", "ready_s", at_most=15.0, unit="s"),
    Goal("100,000: ready", "held_up_p99_ms", at_most=15.0, unit="ms"),
    Goal("100,000: at rest", "cpu_percent", at_most=2.0, unit="%"),
]


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def lateness(late: list[float]) -> Figures:
    """Of seconds, in milliseconds."""
    return {
        "late_p50_ms": percentile(late, 0.5) * 1e3,
        "late_p99_ms": percentile(late, 0.99) * 1e3,
        "late_max_ms": max(late) * 1e3,
        "fires": float(len(late)),
    }


def settle() -> None:
    """What the start made stays, as in `fnframe run`: the collector does not look at all of it again and again."""
    gc.collect()
    gc.freeze()


# Firing.


def fnframe(schedules: int, expression: str, seconds: float) -> Figures:
    os.environ |= {"BENCH_SCHEDULES": str(schedules), "BENCH_EXPRESSION": expression}
    from .apps import schedules as served

    async def run() -> None:
        async with served.app.run():
            settle()
            await anyio.sleep(seconds)

    begin = time.process_time()
    anyio.run(run)
    return {
        **lateness(served.late),
        "fired_p50_ms": percentile(served.fired, 0.5) * 1e3,
        "fired_p99_ms": percentile(served.fired, 0.99) * 1e3,
        "cpu_percent": (time.process_time() - begin) / seconds * 100,
    }


def bare(schedules: int, period: int, seconds: float) -> Figures:
    """The limit: a heap, a timer, and a task for each job."""
    late: list[float] = []

    async def job(scheduled: int) -> None:
        late.append(time.time() - scheduled)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        start = (int(time.time()) // period + 1) * period
        heap = [(start, number) for number in range(schedules)]
        tasks = set()
        settle()
        while heap[0][0] < start + seconds:
            await asyncio.sleep(max(0.0, heap[0][0] - time.time()))
            while heap[0][0] <= time.time():
                due, number = heapq.heappop(heap)
                heapq.heappush(heap, (due + period, number))
                task = loop.create_task(job(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    begin = time.process_time()
    asyncio.run(run())
    return {**lateness(late), "cpu_percent": (time.process_time() - begin) / seconds * 100}


def apscheduler(schedules: int, period: int, seconds: float) -> Figures:
    late: list[float] = []

    async def run() -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        async def job() -> None:
            now = time.time()
            late.append(now % period)

        scheduler = AsyncIOScheduler(timezone="UTC")
        for _ in range(schedules):
            scheduler.add_job(job, "cron", second=f"*/{period}", misfire_grace_time=30)
        scheduler.start()
        settle()
        await asyncio.sleep(seconds)

    begin = time.process_time()
    asyncio.run(run())
    return {**lateness(late), "cpu_percent": (time.process_time() - begin) / seconds * 100}


@case("500/s: bare heap and timer")
def _() -> Figures:
    return bare(500, 1, SECONDS)


@case("500/s: fnframe")
def _() -> Figures:
    return fnframe(500, "* * * * * *", SECONDS)


@case("500/s: APScheduler 3")
def _() -> Figures:
    return apscheduler(500, 1, SECONDS)


@case("1,000 at once: bare heap and timer")
def _() -> Figures:
    return bare(1000, 5, SECONDS)


@case("1,000 at once: fnframe")
def _() -> Figures:
    return fnframe(1000, "*/5 * * * * *", 2 * SECONDS)


@case("1,000 at once: APScheduler 3")
def _() -> Figures:
    return apscheduler(1000, 5, 2 * SECONDS)


# Many.


class Values(dict[str, bytes]):
    """`fnframe.State`, of one key."""

    __slots__ = ()

    async def get(self, key: str) -> bytes | None:  # type: ignore[override]
        return super().get(key)

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> bool:
        self[key] = value
        return True


class Silent:
    """A mapping that takes what is due meanwhile."""

    async def enqueue(self, event: Any, *, group: str | None = None) -> bool:
        return True


def mixed(number: int, chance: random.Random) -> str:
    """Of eight kinds of expressions, as people write them."""
    minute, hour, weekday = chance.randrange(60), chance.randrange(24), chance.randrange(7)
    day, month = chance.randrange(1, 29), chance.randrange(1, 13)
    return (
        f"*/{chance.choice([10, 15, 30])} * * * *",
        f"{minute} * * * *",
        f"{minute} {hour} * * *",
        f"{minute} {hour} * * {weekday}",
        f"{minute} 9-17 * * 1-5",
        f"{minute} {hour} {day} * *",
        f"{minute} {hour} {day} {month} *",
        f"{minute},{(minute + 30) % 60} {hour % 16}-23/2 * * *",
    )[number % 8]


def many(expression: Callable[[int], str]) -> tuple[Any, list[Any]]:
    """An agenda with that many schedules, none of them planned."""
    from fnframe_cron import Cron
    from fnframe_cron.agenda import Agenda
    from fnframe_cron.entry import Entry
    from fnframe_cron.progress import Ledger

    from fnframe.clock import SystemClock

    clock, now = SystemClock(), int(time.time())
    agenda = Agenda(clock)
    mapping: Any = Silent()
    crons = [Cron(expression(number), tz="Europe/Berlin") for number in range(MANY)]
    entries = [
        Entry(cron, "job", mapping, Ledger(Values(), "progress"), title=str(number), identity=str(number), since=now)
        for number, cron in enumerate(crons)
    ]
    return agenda, entries


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@case("100,000: ready")
def _() -> Figures:
    chance = random.Random(7)
    before = resident_mb()
    agenda, entries = many(lambda number: mixed(number, chance))
    held_up: list[float] = []

    async def feel() -> None:
        while True:
            due = time.perf_counter() + 0.001
            await anyio.sleep(0.001)
            held_up.append(time.perf_counter() - due)

    async def run() -> float:
        begin = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for entry in entries:
                agenda.add(entry)
            tasks.start_soon(agenda.run)
            tasks.start_soon(feel)
            while not agenda.is_planned:  # noqa: ASYNC110  it tells nobody
                await anyio.sleep(0.01)
            seconds = time.perf_counter() - begin
            tasks.cancel_scope.cancel()
        return seconds

    ready = anyio.run(run)
    return {
        "ready_s": ready,
        "held_up_p50_ms": percentile(held_up, 0.5) * 1e3,
        "held_up_p99_ms": percentile(held_up, 0.99) * 1e3,
        "mb": resident_mb() - before,
    }


@case("100,000: at rest")
def _() -> Figures:
    next_month = datetime.now(BERLIN).month % 12 + 1
    agenda, entries = many(lambda number: f"{number % 60} {number % 24} {number % 28 + 1} {next_month} *")

    async def run() -> float:
        async with anyio.create_task_group() as tasks:
            for entry in entries:
                agenda.add(entry)
            tasks.start_soon(agenda.run)
            while not agenda.is_planned:  # noqa: ASYNC110  it tells nobody
                await anyio.sleep(0.01)
            begin = time.process_time()
            await anyio.sleep(IDLE)
            used = time.process_time() - begin
            tasks.cancel_scope.cancel()
        return used / IDLE * 100

    return {"cpu_percent": anyio.run(run)}


# Next times of 10,000 expressions: the first, with what it takes to parse them, and the one after it.

NEXT = 10_000


def both(first: Callable[[list[str]], list[Any]], again: Callable[[Any], object]) -> Figures:
    chance = random.Random(7)
    expressions = [mixed(number, chance) for number in range(NEXT)]
    begin = time.perf_counter()
    made = first(expressions)
    middle = time.perf_counter()
    for each in made:
        again(each)
    end = time.perf_counter()
    return {"first_us": (middle - begin) / NEXT * 1e6, "again_us": (end - middle) / NEXT * 1e6}


@case("next: fnframe, Europe/Berlin")
def _() -> Figures:
    from fnframe_cron.moments import moments

    base = int(BASE.timestamp())

    def first(expressions: list[str]) -> list[Any]:
        made = [moments.__wrapped__(expression, "Europe/Berlin") for expression in expressions]
        return [(each, each.next(base)) for each in made]

    return both(first, lambda made: made[0].next(made[1]))


@case("next: croniter, Europe/Berlin")
def _() -> Figures:
    from croniter import croniter

    def first(expressions: list[str]) -> list[Any]:
        made = [croniter(expression, BASE) for expression in expressions]
        for each in made:
            each.get_next(datetime)
        return made

    return both(first, lambda made: made.get_next(datetime))


@case("next: cronsim, Europe/Berlin")
def _() -> Figures:
    from cronsim import CronSim

    def first(expressions: list[str]) -> list[Any]:
        made = [CronSim(expression, BASE) for expression in expressions]
        for each in made:
            next(each)
        return made

    return both(first, next)


@case("next: APScheduler 3, Europe/Berlin")
def _() -> Figures:
    from apscheduler.triggers.cron import CronTrigger

    def first(expressions: list[str]) -> list[Any]:
        made = [CronTrigger.from_crontab(expression, timezone=BERLIN) for expression in expressions]
        return [(each, each.get_next_fire_time(None, BASE)) for each in made]

    return both(first, lambda made: made[0].get_next_fire_time(made[1], made[1]))


if __name__ == "__main__":
    columns = {
        "late_p50_ms": "late p50 ms",
        "late_p99_ms": "late p99 ms",
        "late_max_ms": "late max ms",
        "fired_p50_ms": "fired p50 ms",
        "fired_p99_ms": "fired p99 ms",
        "fires": "fires",
        "cpu_percent": "CPU %",
        "ready_s": "ready s",
        "held_up_p99_ms": "held up p99 ms",
        "mb": "MB",
        "first_us": "parse + next us",
        "again_us": "next us",
    }
    main(__spec__, GOALS, columns, rounds=3)
