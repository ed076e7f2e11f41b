"""Handlers that run into their deadline, in every way there is: how late their callers hear of it, one at a time.

late: from the deadline until the caller has the error, the start of the environment included, since one is killed
each time. The way `holds_1_gb` is here for what it takes to kill: its memory has to be given back to the system.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

from .apps.abuse import LATE, WAYS
from .harness import Figures, Goal, case, main

TIMES = 100
PAUSE = 0.02
"""Seconds between two of them: the machine is idle, not in a storm of timeouts."""


def measure(way: str, times: int = TIMES) -> Figures:
    import anyio

    from .apps.abuse import app

    late = []

    async def run() -> None:
        async with app.run(max_environments=2) as running:
            await running.invoke(way)
            for _ in range(times):
                begin = time.perf_counter()
                outcome = await running.invoke(way)
                late.append((time.perf_counter() - begin) * 1e3 - outcome.report.duration_ms)
                assert outcome.report.outcome == WAYS[way].outcome, outcome
                await anyio.sleep(PAUSE)

    anyio.run(run)
    late.sort()
    return {"p99_ms": late[round(0.99 * times) - 1], "late_ms": statistics.median(late), "late_ms_max": late[-1]}


for name in LATE:
    case(name)(partial(measure, name, 20 if name == "holds_1_gb" else TIMES))

GOALS = [Goal(name, "p99_ms", at_most=20.0, unit="ms") for name in LATE]

if __name__ == "__main__":
    columns = {"p99_ms": "p99 ms", "late_ms": "median", "late_ms_max": "worst"}
    main(__spec__, GOALS, columns, rounds=1)
