"""Isolated echo: 100 bytes of JSON into another process and back.

`64:` 64 in flight, two environments, both cores. `1:` one in flight, everything pinned to one core.
fnframe holds timeout and memory limit and makes a report of each invocation; pebble holds a timeout;
`multiprocessing.Pool` holds nothing; `bare` is the limit for Python (see bare.py).
"""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import TYPE_CHECKING

from .bare import Dispatcher, Worker
from .harness import Figures, Goal, case, main
from .workload import concurrently, echo, in_turn, pin, with_callbacks

if TYPE_CHECKING:
    from collections.abc import Callable

fork = multiprocessing.get_context("fork")

GOALS = [
    Goal("64: fnframe, asyncio", "per_s", against="64: pebble", at_least=2.5),
    Goal("64: fnframe, asyncio", "per_s", against="64: multiprocessing.Pool", at_least=1.5),
    Goal("64: fnframe, asyncio", "per_s", against="64: bare, asyncio", at_least=0.6),
    Goal("1: fnframe, asyncio", "per_s", against="1: pebble", at_least=3.0),
    Goal("1: fnframe, synchronous", "per_s", against="1: pebble", at_least=1.5),
]


def fnframe(backend: str, depth: int, environments: int) -> Figures:
    import anyio

    from .apps.echo import app

    async def measure() -> Figures:
        async with app.run(max_environments=environments) as running:

            async def invoke(event: object) -> object:
                return (await running.invoke("echo", event)).unwrap()

            return await concurrently(invoke, depth)

    return anyio.run(measure, backend=backend)


@case("64: fnframe, asyncio")
def _() -> Figures:
    return fnframe("asyncio", 64, 2)


@case("64: fnframe, trio")
def _() -> Figures:
    return fnframe("trio", 64, 2)


@case("64: pebble")
def _() -> Figures:
    from pebble import ProcessPool

    pool = ProcessPool(max_workers=2, context=fork)

    def submit(event: object, done: Callable[..., None]) -> None:
        pool.schedule(echo, args=(event,), timeout=30).add_done_callback(done)

    return with_callbacks(submit, 64)


@case("64: multiprocessing.Pool")
def _() -> Figures:
    pool = fork.Pool(2)
    return with_callbacks(lambda event, done: pool.apply_async(echo, (event,), callback=done), 64)


@case("64: bare, asyncio")
def _() -> Figures:
    workers = [Worker(echo), Worker(echo)]

    async def measure() -> Figures:
        return await concurrently(Dispatcher(workers).invoke, 64)

    return asyncio.run(measure())


@case("1: fnframe, asyncio")
def _() -> Figures:
    pin()
    return fnframe("asyncio", 1, 1)


@case("1: fnframe, trio")
def _() -> Figures:
    pin()
    return fnframe("trio", 1, 1)


@case("1: fnframe, synchronous")
def _() -> Figures:
    from .apps.echo import app

    pin()
    with app.run_in_thread(max_environments=1) as running:
        return in_turn(lambda event: running.invoke("echo", event).unwrap())


@case("1: pebble")
def _() -> Figures:
    from pebble import ProcessPool

    pin()
    pool = ProcessPool(max_workers=1, context=fork)
    return in_turn(lambda event: pool.schedule(echo, args=(event,), timeout=30).result())


@case("1: multiprocessing.Pool")
def _() -> Figures:
    pin()
    pool = fork.Pool(1)
    return in_turn(lambda event: pool.apply_async(echo, (event,)).get())


@case("1: bare, asyncio")
def _() -> Figures:
    pin()
    workers = [Worker(echo)]

    async def measure() -> Figures:
        return await concurrently(Dispatcher(workers).invoke, 1)

    return asyncio.run(measure())


@case("1: bare, synchronous")
def _() -> Figures:
    pin()
    return in_turn(Worker(echo).call)


if __name__ == "__main__":
    main(__spec__, GOALS, {"per_s": "per second", "p50_us": "p50 us", "p99_us": "p99 us"})
