"""`while True: pass` with a timeout of 100 ms, 100 times, one at a time, each followed by an echo.

late: from the deadline until the caller has the error. next: from then until the echo after it is answered.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from typing import TYPE_CHECKING, Any

from .bare import Worker
from .harness import Figures, Goal, case, main
from .workload import EVENT, echo, spin

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = 100
TIMEOUT = 0.1
PAUSE = 0.02
"""Seconds between two of them: the machine is idle, not in a storm of timeouts."""
SPIN = {**EVENT, "spin": True}

GOALS = [
    Goal("fnframe, asyncio", "late_ms", at_most=2.0, unit="ms"),
    Goal("fnframe, asyncio", "late_ms_max", at_most=10.0, unit="ms"),
    Goal("fnframe, asyncio", "next_ms", at_most=5.0, unit="ms"),
    Goal("fnframe, asyncio", "next_ms_max", at_most=5.0, unit="ms"),
]


class Timings:
    def __init__(self) -> None:
        self.late: list[float] = []
        self.next: list[float] = []

    def note(self, begin: float, error: float, answer: float) -> None:
        self.late.append((error - begin - TIMEOUT) * 1e3)
        self.next.append((answer - error) * 1e3)

    def figures(self) -> Figures:
        return {
            "late_ms": statistics.median(self.late),
            "late_ms_max": max(self.late),
            "next_ms": statistics.median(self.next),
            "next_ms_max": max(self.next),
        }


def measure(time_out: Callable[[], None], answer: Callable[[], Any]) -> Figures:
    """For callers in synchronous code. `time_out()` returns when the caller knows of the timeout."""
    timings = Timings()
    assert answer() == EVENT
    for _ in range(TIMES):
        begin = time.perf_counter()
        time_out()
        error = time.perf_counter()
        assert answer() == EVENT
        timings.note(begin, error, time.perf_counter())
        time.sleep(PAUSE)
    return timings.figures()


def fnframe(backend: str) -> Figures:
    import anyio

    from .apps.echo import app

    async def run() -> Figures:
        timings = Timings()
        async with app.run(max_environments=1) as running:
            assert (await running.invoke("spin_or_echo", EVENT)).unwrap() == EVENT
            for _ in range(TIMES):
                begin = time.perf_counter()
                outcome = await running.invoke("spin_or_echo", SPIN)
                error = time.perf_counter()
                assert outcome.report.outcome == "Sandbox.Timedout", outcome
                assert (await running.invoke("spin_or_echo", EVENT)).unwrap() == EVENT
                timings.note(begin, error, time.perf_counter())
                await anyio.sleep(PAUSE)
        return timings.figures()

    return anyio.run(run, backend=backend)


@case("fnframe, asyncio")
def _() -> Figures:
    return fnframe("asyncio")


@case("fnframe, trio")
def _() -> Figures:
    return fnframe("trio")


@case("fnframe, synchronous")
def _() -> Figures:
    from .apps.echo import app

    with app.run_in_thread(max_environments=1) as running:

        def time_out() -> None:
            assert running.invoke("spin_or_echo", SPIN).report.outcome == "Sandbox.Timedout"

        return measure(time_out, lambda: running.invoke("spin_or_echo", EVENT).unwrap())


@case("pebble")
def _() -> Figures:
    from pebble import ProcessPool

    pool = ProcessPool(max_workers=1, context=multiprocessing.get_context("fork"))

    def time_out() -> None:
        try:
            pool.schedule(spin, timeout=TIMEOUT).result()
        except TimeoutError:
            return
        raise AssertionError("no timeout")

    return measure(time_out, lambda: pool.schedule(echo, args=(EVENT,), timeout=5).result())


@case("bare: poll, kill, fork again")
def _() -> Figures:
    worker = Worker(_spin_or_echo)

    def time_out() -> None:
        nonlocal worker
        try:
            worker.call(SPIN, TIMEOUT)
        except TimeoutError:
            dead, worker = worker, Worker(_spin_or_echo)
            dead.close()
            return
        raise AssertionError("no timeout")

    return measure(time_out, lambda: worker.call(EVENT))


def _spin_or_echo(event: Any) -> Any:
    while event.get("spin"):
        pass
    return event


if __name__ == "__main__":
    columns = {"late_ms": "late ms", "late_ms_max": "worst", "next_ms": "next ms", "next_ms_max": "worst"}
    main(__spec__, GOALS, columns, rounds=3)
