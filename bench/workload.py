"""What every case does the same: the event, the handler, and the loops that measure a caller's side."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WARM = 0.5
"""Seconds before measuring begins."""
MEASURE = 2.0

EVENT = {
    "id": "0123456789abcdef",
    "kind": "order",
    "qty": 3,
    "price": 12.5,
    "tags": ["a", "b"],
    "note": "xxxxxxxxxxxx",
}
assert len(json.dumps(EVENT, separators=(",", ":"))) == 100

now = time.perf_counter_ns


def echo(event: Any) -> Any:
    return event


def spin(event: Any = None) -> None:
    while True:
        pass


def pin() -> None:
    """Keep this process, and all that it starts, on one core.

    Throughput is then one over the processor time of an invocation on both sides, and not a matter of which
    core the kernel wakes.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def in_turn(call: Callable[[Any], Any]) -> dict[str, float]:
    """One in flight, from synchronous code. `call(event)` returns the result."""
    meter = Meter()
    assert call(EVENT) == EVENT
    while meter.goes_on():
        begin = now()
        call(EVENT)
        meter.note(begin)
    return meter.figures()


async def concurrently(invoke: Callable[[Any], Awaitable[Any]], depth: int) -> dict[str, float]:
    """`depth` callers in one event loop, each of which awaits its result and asks again."""
    import anyio

    meter = Meter()
    assert await invoke(EVENT) == EVENT

    async def caller() -> None:
        while meter.goes_on():
            begin = now()
            await invoke(EVENT)
            meter.note(begin)

    async with anyio.create_task_group() as tasks:
        for _ in range(depth):
            tasks.start_soon(caller)
    return meter.figures()


def with_callbacks(submit: Callable[[Any, Callable[..., None]], None], depth: int) -> dict[str, float]:
    """`depth` in flight for libraries that tell of a result in a thread: `submit(event, done)` starts one."""
    meter = Meter()
    free = threading.Semaphore(depth)
    while meter.goes_on():
        free.acquire()
        begin = now()

        def done(*_: Any, begin: int = begin) -> None:
            meter.note(begin)
            free.release()

        submit(EVENT, done)
    return meter.figures()


class Meter:
    """Rate and latencies, once it is warm."""

    def __init__(self) -> None:
        self._latencies: list[int] = []
        self._begin = now() + int(WARM * 1e9)
        self._end = self._begin + int(MEASURE * 1e9)
        self._last = self._begin

    def goes_on(self) -> bool:
        return now() < self._end

    def note(self, begin: int) -> None:
        self._last = now()
        if self._begin < self._last:
            self._latencies.append(self._last - begin)

    def figures(self) -> dict[str, float]:
        latencies = sorted(self._latencies)
        return {
            "per_s": len(latencies) / (self._last - self._begin) * 1e9,
            "p50_us": latencies[len(latencies) // 2] / 1e3,
            "p99_us": latencies[int(len(latencies) * 0.99)] / 1e3,
        }
