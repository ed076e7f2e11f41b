"""Cold start from the template: the first invocation of a function that has no environment yet.

40 functions are invoked once each. `alone`: with a pause between, so that the template's spare environment is
ready. `in a row`: without, so that most wait for a fork. wall: from invoke to the answer, as the caller sees
it; init: `report.init_duration_ms`.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from .bare import Worker
from .harness import Figures, Goal, case, main
from .workload import EVENT, echo

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE = 0.05
TIMES = 40
LARGE = 300 << 20

GOALS = [
    Goal("small app, alone", "wall_ms", at_most=5.0, unit="ms"),
    Goal("small app, alone", "init_ms", at_most=5.0, unit="ms"),
    Goal("small app, in a row", "wall_ms", at_most=5.0, unit="ms"),
    Goal("300 MB resident, alone", "wall_ms", at_most=15.0, unit="ms"),
    Goal("300 MB resident, alone", "init_ms", at_most=15.0, unit="ms"),
    Goal("300 MB resident, in a row", "wall_ms", at_most=15.0, unit="ms"),
]


def fnframe(module: str, pause: float) -> Figures:
    import anyio

    app = importlib.import_module(f"bench.apps.{module}").app

    async def measure() -> Figures:
        wall, init = [], []
        async with app.run(max_environments=TIMES + 1) as running:
            for number in range(TIMES):
                await anyio.sleep(pause)
                begin = time.perf_counter()
                outcome = await running.invoke(f"echo{number}", EVENT)
                wall.append((time.perf_counter() - begin) * 1e3)
                assert outcome.unwrap() == EVENT
                assert outcome.report.init_duration_ms is not None
                init.append(outcome.report.init_duration_ms)
            peak = outcome.report.max_memory_used_mb
        return {**_figures(wall), "init_ms": statistics.median(init), "memory_mb": peak}

    return anyio.run(measure)


def _figures(wall: list[float]) -> Figures:
    return {"wall_ms": statistics.median(wall), "wall_ms_max": max(wall)}


def repeatedly(start: Callable[[], object]) -> Figures:
    wall = []
    for _ in range(TIMES):
        time.sleep(PAUSE)
        begin = time.perf_counter()
        start()
        wall.append((time.perf_counter() - begin) * 1e3)
    return _figures(wall)


def fork_and_ask() -> None:
    worker = Worker(echo)
    assert worker.call(EVENT) == EVENT
    worker.close()


@case("small app, alone")
def _() -> Figures:
    return fnframe("cold", PAUSE)


@case("small app, in a row")
def _() -> Figures:
    return fnframe("cold", 0)


@case("300 MB resident, alone")
def _() -> Figures:
    return fnframe("cold_large", PAUSE)


@case("300 MB resident, in a row")
def _() -> Figures:
    return fnframe("cold_large", 0)


@case("bare: fork, one exchange")
def _() -> Figures:
    return repeatedly(fork_and_ask)


@case("bare: fork with 300 MB resident, one exchange")
def _() -> Figures:
    model = b"x" * LARGE
    figures = repeatedly(fork_and_ask)
    assert len(model) == LARGE
    return figures


@case("a fresh interpreter that imports msgspec")
def _() -> Figures:
    return repeatedly(lambda: subprocess.run([sys.executable, "-c", "import msgspec.json"], check=True))


if __name__ == "__main__":
    columns = {"wall_ms": "wall ms", "wall_ms_max": "worst", "init_ms": "init ms", "memory_mb": "memory MB"}
    main(__spec__, GOALS, columns)
