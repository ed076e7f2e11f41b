"""Files dropped into a watched folder by another process, and a mapping that only counts what is told of them."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
from fnframe_files import Files

from fnframe import Event, Function

WRITER = """
import os, struct, sys, time
folder, count, gap = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
sys.stdin.readline()
moments = [time.time()]
for number in range(count):
    descriptor = os.open(f"{folder}/{number:06}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, b"0123456789abcdef")
    os.close(descriptor)
    moments.append(time.time())
    if gap:
        time.sleep(max(0.0, moments[0] + gap * (number + 1) - time.time()))
sys.stdout.buffer.write(struct.pack(f"{count + 1}d", *moments))
"""


class Writer:
    """Another process that writes `count` small files, one each `gap` seconds, once `go` is called."""

    def __init__(self, folder: Path, count: int, gap: float = 0.0) -> None:
        command = [sys.executable, "-S", "-c", WRITER, str(folder), str(count), str(gap)]
        self.count = count
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def moments(self) -> list[float]:
        """That of the beginning, then of each file's closing, seconds since the epoch; waits for the end."""
        output, _ = self._process.communicate()
        return list(struct.unpack(f"{self.count + 1}d", output))


class Values:
    """A mapping's state, in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def put(self, key: str, value: bytes) -> None:
        self.values[key] = value

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)

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

    @property
    def twice(self) -> int:
        return self.counts.total() - len(self.counts)


async def serve(mapping: Any, *, task_status: Any) -> None:
    await Files.run_all([mapping], task_status=task_status)


def milliseconds_late(seen: dict[str, float], written: list[float]) -> list[float]:
    """From the closing of each file that was seen to its event, sorted."""
    return sorted((seen[key] - written[int(key) + 1]) * 1000 for key in seen)
