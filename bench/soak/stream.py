"""A long stream, worked off in batches of 500: how fast, beside the bare engine, and whether this process grows.

`bare` reads every partition in batches of the same size and commits after each, and nothing else. What the engine
`memory:` holds is in this process from the beginning; what counts is what is added while the function runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from fnframe import hookimpl
from fnframe.engine.protocol import Record
from fnframe.runtime.run import run_target

if TYPE_CHECKING:
    from fnframe.engine.protocol import Stream

APP = str(Path(__file__).parents[1] / "apps" / "stream.py")
BATCH = 500
BODY = b'{"n":1,"page":"/shop/cart/items/7","visitor":"7f3c8a10-0001-8a2b-b0c4-00a1b2c3d4e5","seconds":12.5}'
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Counting:
    """Counts the records of batches that succeeded."""

    records = batches = 0

    @hookimpl
    def fnframe_event_settled(self, outcome: Any) -> None:
        self.batches += 1
        self.records += int(outcome.payload)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB / 1024


async def publish(stream: Stream, count: int) -> None:
    for begin in range(0, count, 1000):
        records = [Record(f"visitor-{n % 1000}", BODY) for n in range(begin, min(begin + 1000, count))]
        await stream.publish(records)


async def bare(stream: Stream) -> None:
    """Read and commit all that there is."""
    await stream.join("bare", "bare", 3600.0)
    for claim in await stream.claim("bare", "bare", stream.partitions, 3600.0):
        position = 0
        while records := await stream.read(claim.partition, position, BATCH):
            position = records[-1].position
            await claim.commit(position.to_bytes(8))


async def soak(engine: str, count: int, most: float) -> bool:
    settings = {"engine": engine, "stream_records": count, "max_environments": 4, "max_waiting": 100}
    counting = Counting()
    async with run_target(APP, settings=settings, plugins=[counting], serve="calls") as running:
        stream = running.engine.stream("clicks")
        began = time.perf_counter()
        await publish(stream, count)
        told(engine, "published", count, began)
        began = time.perf_counter()
        await bare(stream)
        told(engine, "bare", count, began)
        before = peak = resident_mb()
        began = time.perf_counter()
        running.serves = "all"
        await running.serve()
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal peak
                while True:
                    peak = max(peak, resident_mb())
                    await anyio.sleep(0.01)

            tasks.start_soon(watch)
            await running.drained()
            tasks.cancel_scope.cancel()
        told(engine, "the function", count, began)
        print(f"{counting.batches:,} batches; memory {before:.0f} MB before, {peak:.0f} MB at the most")
        return counting.records == count and peak - before <= most


def told(engine: str, what: str, count: int, began: float) -> None:
    print(f"{engine.partition(':')[0]}: {what}: {count / (time.perf_counter() - began):,.0f} records/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak.stream", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=["memory", "sqlite"], default="sqlite")
    parser.add_argument("--most", type=float, default=40.0, help="MB by which this process may grow")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fnframe-stream-") as folder:
        url = "memory:" if arguments.engine == "memory" else f"sqlite:///{folder}/engine.db"
        good = anyio.run(soak, url, arguments.records, arguments.most)
    print("all done, memory bounded" if good else "lost records, or too much memory")
    sys.exit(not good)


if __name__ == "__main__":
    main()
