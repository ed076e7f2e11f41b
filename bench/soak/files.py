"""Files in a watched folder: each must be delivered once, when it is complete, whatever is done to it meanwhile.

`burst`, `one by one` and `at start`: small files that another process writes, and at which rate they are seen; the
mapping only counts, so this is what the trigger alone costs. The goals: 20,000 files/s for the burst, and 99 of 100
within 5 ms at 1,000 in a second, one by one.

`stalled`: files in deep trees, slowly written, renamed, rewritten, appended to, replaced and moved in with their
directories, while the reader is stalled for the first half; so the system's queue overflows. `early` counts events of
versions that never were complete, `twice` those of a version that was the last one told of already, `lost` objects
of which the events tell another tale than the folder.

A folder on tmpfs keeps the disk out of it.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.lowlevel import checkpoint
from fnframe_files import (  # noqa: F401  imported late as a rule, which is not measured here
    Files,
    ObjectCreated,
    ObjectRemoved,
    notifier,
    serving,
)

from fnframe import Event

from ..filedrop import Counting, Writer, milliseconds_late, serve

STORM = Path(__file__).with_name("storm.py")
PATIENCE = 60.0


async def measure(name: str, root: Path, count: int, *, gap: float = 0.0, before: bool = False) -> bool:
    """Print a line for `count` files, written `before` the trigger starts or while it runs; whether all is well."""
    (root / "uploads").mkdir()
    mapping = Counting(root, count)
    writer = Writer(root / "uploads", count, gap)
    written: list[float] = []
    if before:
        writer.go()
        written = writer.moments()
    began, pauses = time.time(), [0.0]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feel, pauses)
        await tasks.start(serve, mapping)
        if not before:
            writer.go()
            with anyio.move_on_after(20 + count * gap):
                await mapping.full.wait()
            written = writer.moments()
            began = written[0]
        tasks.cancel_scope.cancel()
    seconds = max(mapping.moments.values()) - began
    late = milliseconds_late(mapping.moments, written)
    lateness = f", p50 {late[len(late) // 2]:.1f} ms, p99 {late[len(late) * 99 // 100]:.1f} ms"
    lost = count - len(mapping.counts)
    print(
        f"{name:<10}  {count:>6,} files, written in {written[-1] - written[0]:.2f} s, seen in {seconds:.2f} s: "
        f"{len(mapping.counts) / seconds:>6,.0f} files/s{'' if before else lateness}, "
        f"longest pause {max(pauses) * 1000:.1f} ms, lost {lost}, twice {mapping.twice}"
    )
    return not lost and not mapping.twice


async def feel(pauses: list[float]) -> None:
    """Note how long others in the event loop have to wait."""
    while True:
        begin = time.monotonic()
        await checkpoint()
        pauses.append(time.monotonic() - begin)
        await anyio.sleep(0.0005)


class Believing(Counting):
    """A mapping that believes the events: what lies in the folder, by them."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 0)
        self.trigger = Files("uploads", events=("created", "removed"))
        self.told: dict[str, str] = {}
        self.versions: set[str] = set()
        self.twice_told = 0
        self.events = 0
        self._there: dict[str, str] | None = None
        self._read = msgspec.json.Decoder(ObjectCreated | ObjectRemoved).decode

    async def enqueue(self, event: Event) -> bool:
        found: Any = self._read(event.data)
        self.events += 1
        if isinstance(found, ObjectRemoved):
            del self.told[found.key]
        else:
            self.twice_told += self.told.get(found.key) == found.etag
            self.told[found.key] = found.etag
            self.versions.add(found.etag)
        self._compare()
        return True

    def expect(self, there: dict[str, str]) -> None:
        """Be full when this is what the events tell."""
        self._there = there
        self._compare()

    def _compare(self) -> None:
        if self._there is not None and len(self.told) == len(self._there) and self.told == self._there:
            self.full.set()


@contextmanager
def storm_at(root: Path, count: int) -> Iterator[Any]:
    """The process that is the storm, when it has made its directories."""
    command = [sys.executable, STORM, root, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as storm:
        assert storm.stdout is not None
        storm.stdout.readline()
        yield storm


async def stalled(root: Path, count: int) -> bool:
    """Print a line for a storm of `count` files; whether all is well."""
    (root / "uploads").mkdir()
    mapping = Believing(root)
    overflows = Overflows()
    logging.getLogger("fnframe.files").addHandler(overflows)
    with storm_at(root, count) as storm:
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, mapping)
            storm.stdin.write("\n")
            storm.stdin.flush()
            storm.stdout.readline()  # The event loop stands still until the first half is done.
            began = time.monotonic()
            complete = set(json.loads(await anyio.to_thread.run_sync(storm.stdout.readline)))
            there = present(root / "uploads")
            mapping.expect(there)
            with anyio.move_on_after(PATIENCE):
                await mapping.full.wait()
            seconds = time.monotonic() - began
            tasks.cancel_scope.cancel()
    early = len(mapping.versions - complete)
    lost = len(mapping.told.items() ^ there.items())
    print(
        f"stalled     {len(there):>6,} files at the end, of {len(complete):,} versions; {mapping.events:,} events in "
        f"{seconds:.2f} s after the stall, {overflows.count} overflows, lost {lost}, early {early}, "
        f"twice {mapping.twice_told}"
    )
    return not lost and not early and not mapping.twice_told


class Overflows(logging.Handler):
    """Counts what the trigger says of overflows."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "more happened" in record.getMessage()


def present(uploads: Path) -> dict[str, str]:
    """Each object that lies there, with its etag."""
    files = [path for path in uploads.rglob("*") if path.is_file() and not path.name.endswith(".part")]
    return {str(path.relative_to(uploads)): _etag(path) for path in files}


def _etag(path: Path) -> str:
    status = path.stat()
    return f"{status.st_ino:x}.{status.st_size:x}.{status.st_mtime_ns:x}"


@contextmanager
def temporary(folder: str | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as root:
        yield Path(root).resolve()


async def main(divide: int, folder: str | None) -> int:
    well = []
    for name, size, options in (
        ("burst", 10_000 // divide, {}),
        ("one by one", 5_000 // divide, {"gap": 0.001}),
        ("at start", 10_000 // divide, {"before": True}),
    ):
        with temporary(folder) as root:
            well.append(await measure(name, root, size, **options))
    with temporary(folder) as root:
        well.append(await stalled(root, 50_000 // divide))
    print("all were delivered, once and complete" if all(well) else "NOT all were delivered, once and complete")
    return 0 if all(well) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.files", description=__doc__)
    parser.add_argument("--divide", type=int, default=1, help="do so much less of everything")
    parser.add_argument("--folder", help="where to write; by default the system's temporary folder")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    arguments = parser.parse_args()
    sys.exit(anyio.run(main, arguments.divide, arguments.folder, backend=arguments.backend))
