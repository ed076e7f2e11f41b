"""A burst of small files in a watched folder: each must be delivered once, and at which rate they are.

Another process writes the files; the mapping only counts, so this is what the trigger alone costs. `latency` is the
median from the closing of a file to its event. A folder on tmpfs keeps the disk out of it. The goal for the burst is
20,000 files/s.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from fnframe_files import Files, notifier, serving  # noqa: F401  imported late as a rule, which is not measured here

from fnframe import Event, Function

WRITER = """
import os, struct, sys, time
folder, count, gap = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
moments = [time.time()]
for number in range(count):
    descriptor = os.open(f"{folder}/{number:06}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, b"0123456789abcdef")
    os.close(descriptor)
    moments.append(time.time())
    time.sleep(gap) if gap else None
sys.stdout.buffer.write(struct.pack(f"{count + 1}d", *moments))
"""


class Values:
    """The mapping's state, in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def put(self, key: str, value: bytes) -> None:
        self.values[key] = value

    async def items(self) -> list[tuple[str, bytes]]:
        return sorted(self.values.items())


class Counting:
    """A mapping that counts the events of each key, and is full when it has `expected` of them."""

    settings = Files.Settings()
    function = Function(name="count", where=__file__)

    def __init__(self, directory: Path, expected: int) -> None:
        self.trigger = Files("uploads")
        self.directory = directory
        self.state = Values()
        self.counts: Counter[str] = Counter()
        self.moments: dict[str, float] = {}
        self.full = anyio.Event()
        self._expected = expected

    async def enqueue(self, event: Event) -> bool:
        key = str(event.subject)
        self.counts[key] += 1
        self.moments[key] = time.time()
        if len(self.counts) == self._expected:
            self.full.set()
        return True


async def measure(name: str, root: Path, count: int, *, gap: float = 0.0, before: bool = False) -> bool:
    """Print a line for `count` files, written `before` the trigger starts or while it runs; whether all is well."""
    (root / "uploads").mkdir()
    mapping = Counting(root, count)
    written = await write(root, count, gap) if before else []
    began, pauses = time.time(), [0.0]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feel, pauses)
        await tasks.start(serve, mapping)
        if not before:
            written = await write(root, count, gap)
            began = written[0]
            with anyio.move_on_after(20):
                await mapping.full.wait()
        tasks.cancel_scope.cancel()
    seconds = max(mapping.moments.values()) - began
    latency = median(mapping.moments[key] - written[int(key) + 1] for key in mapping.moments) * 1000
    lost, twice = count - len(mapping.counts), mapping.counts.total() - len(mapping.counts)
    print(
        f"{name:<10}  {count:>6,} files, written in {written[-1] - written[0]:.2f} s, seen in {seconds:.2f} s: "
        f"{len(mapping.counts) / seconds:>6,.0f} files/s{'' if before else f', latency {latency:.1f} ms'}, "
        f"longest pause {max(pauses) * 1000:.1f} ms, lost {lost}, twice {twice}"
    )
    return not lost and not twice


async def feel(pauses: list[float]) -> None:
    """Note how long others in the event loop have to wait."""
    while True:
        begin = time.monotonic()
        await checkpoint()
        pauses.append(time.monotonic() - begin)
        await anyio.sleep(0.0005)


async def write(root: Path, count: int, gap: float) -> list[float]:
    """The moment of the beginning, then of each file's closing."""
    command = [sys.executable, "-S", "-c", WRITER, str(root / "uploads"), str(count), str(gap)]
    return list(struct.unpack(f"{count + 1}d", (await anyio.run_process(command)).stdout))


async def serve(mapping: Any, *, task_status: Any) -> None:
    await Files.run_all([mapping], task_status=task_status)


async def main(count: int, folder: str | None) -> int:
    well = []
    for name, size, options in (
        ("burst", count, {}),
        ("one by one", count // 10, {"gap": 0.001}),
        ("at start", count, {"before": True}),
    ):
        with tempfile.TemporaryDirectory(dir=folder) as root:
            well.append(await measure(name, Path(root), size, **options))
    return 0 if all(well) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.files", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folder", help="where to write; by default the system's temporary folder")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    arguments = parser.parse_args()
    sys.exit(anyio.run(main, arguments.files, arguments.folder, backend=arguments.backend))
