"""Dispatch: an inline echo with a deadline, one at a time; and the rate with 10,000 functions registered."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from .harness import Figures, Goal, case, main
from .workload import EVENT, MEASURE, WARM, concurrently

MANY = 10_000
CHUNK = 200

GOALS = [
    Goal("fnframe, asyncio", "per_s", at_least=200_000, unit="per second"),
    Goal("inline, one of 10,000 functions", "per_s", against="inline, the only function", at_least=0.95),
    Goal("isolated, one of 10,000 functions", "per_s", against="isolated, the only function", at_least=0.95),
]


async def in_turn(invoke: Callable[[], Awaitable[Any]]) -> Figures:
    """One at a time; the loop gets its turn after each chunk, as it would from a real caller."""
    import anyio.lowlevel

    begin = time.perf_counter()
    while time.perf_counter() < begin + WARM:
        await invoke()
        await anyio.lowlevel.checkpoint()
    count, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < MEASURE:
        for _ in range(CHUNK):
            await invoke()
        await anyio.lowlevel.checkpoint()
        count += CHUNK
    return {"per_s": count / elapsed, "us": elapsed / count * 1e6}


def fnframe(backend: str) -> Figures:
    import anyio

    from .apps.inline import app

    async def measure() -> Figures:
        async with app.run() as running:
            assert (await running.invoke("echo", EVENT)).unwrap() == EVENT
            return await in_turn(lambda: running.invoke("echo", EVENT))

    return anyio.run(measure, backend=backend)


@case("fnframe, asyncio")
def _() -> Figures:
    return fnframe("asyncio")


@case("fnframe, trio")
def _() -> Figures:
    return fnframe("trio")


def registered(count: int, measure: Callable[[Any], Awaitable[Figures]]) -> Figures:
    import anyio

    os.environ["BENCH_FUNCTIONS"] = str(count)
    from .apps.many import app

    async def run() -> Figures:
        async with app.run(max_environments=2) as running:
            return await measure(running)

    return anyio.run(run)


def one_inline(running: Any) -> Awaitable[Figures]:
    return in_turn(lambda: running.invoke("inline0", EVENT))


def all_inline(running: Any) -> Awaitable[Figures]:
    names = itertools.cycle([f"inline{number}" for number in range(MANY // 2)])
    return in_turn(lambda: running.invoke(next(names), EVENT))


def one_isolated(running: Any) -> Awaitable[Figures]:
    async def invoke(event: Any) -> Any:
        return (await running.invoke("echo0", event)).unwrap()

    return concurrently(invoke, 64)


@case("inline, the only function")
def _() -> Figures:
    return registered(1, one_inline)


@case("inline, one of 10,000 functions")
def _() -> Figures:
    return registered(MANY, one_inline)


@case("inline, 5,000 of 10,000 functions in turn")
def _() -> Figures:
    return registered(MANY, all_inline)


@case("isolated, the only function")
def _() -> Figures:
    return registered(1, one_isolated)


@case("isolated, one of 10,000 functions")
def _() -> Figures:
    return registered(MANY, one_isolated)


# The limit: what any dispatcher does (find, name, context, report), and no more.


async def echo(event: Any) -> Any:
    return event


class Row:
    __slots__ = ("deadline", "done", "number", "task")

    def __init__(self, number: int, deadline: float, task: Any) -> None:
        self.number = number
        self.deadline = deadline
        self.task = task
        self.done = False


Arm = Callable[[asyncio.AbstractEventLoop, Row], Callable[[], None] | None]


def limit(arm: Arm) -> Figures:
    """`arm` sets the deadline and returns what takes it back, where something must."""
    registry = {"echo": echo}
    current: ContextVar[Row] = ContextVar("current")
    numbers = itertools.count()
    reports: deque[tuple[int, str, float]] = deque(maxlen=1000)

    async def run() -> Figures:
        loop = asyncio.get_running_loop()

        async def dispatch(name: str, event: Any) -> Any:
            handler = registry[name]
            begin = time.monotonic()
            row = Row(next(numbers), begin + 3.0, asyncio.current_task())
            token = current.set(row)
            disarm = arm(loop, row)
            try:
                return await handler(event)
            finally:
                row.done = True
                if disarm is not None:
                    disarm()
                current.reset(token)
                reports.append((row.number, name, time.monotonic() - begin))

        return await in_turn(lambda: dispatch("echo", EVENT))

    return asyncio.run(run())


@case("limit: minimal dispatcher, no deadline")
def _() -> Figures:
    return limit(lambda *_: None)


@case("limit: minimal dispatcher, a shared queue of deadlines")
def _() -> Figures:
    # All have one timeout, so their deadlines come in order, and one timer looks at the oldest.
    due: deque[Row] = deque()

    def sweep(loop: asyncio.AbstractEventLoop) -> None:
        while due and (due[0].done or due[0].deadline <= time.monotonic()):
            row = due.popleft()
            if not row.done:
                row.task.cancel()
        if due:
            loop.call_at(due[0].deadline, sweep, loop)

    def arm(loop: asyncio.AbstractEventLoop, row: Row) -> None:
        while due and due[0].done:
            due.popleft()
        due.append(row)
        if row.number == 0:
            loop.call_at(row.deadline, sweep, loop)

    return limit(arm)


@case("limit: minimal dispatcher, call_later")
def _() -> Figures:
    return limit(lambda loop, row: loop.call_later(3.0, row.task.cancel).cancel)


if __name__ == "__main__":
    main(__spec__, GOALS, {"per_s": "per second", "us": "us each"})
