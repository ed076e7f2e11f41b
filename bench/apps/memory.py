"""Functions that use memory, and know from another source how much it was."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnframe import App

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 2**20
HELD = 0.1
"""Seconds that a child is there with all of its memory."""
LATE = 1.5
MOST = 3000
"""MB at which one that allocates without end stops all the same, to spare the machine if nobody ends it."""
MADV_HUGEPAGE, MADV_NOHUGEPAGE, MAP_POPULATE = 14, 15, 0x8000

app = App("memory")

PROGRAM = """
import mmap, sys
size = int(sys.argv[1]) * 2**20
block = mmap.mmap(-1, max(1, size), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for start in range(0, size, mmap.PAGESIZE):
    block[start] = 1
print("there", flush=True)
sys.stdin.read()
"""


def touched(megabytes: int) -> mmap.mmap:
    """So much memory, each page of it written to, and given back when the object goes."""
    block = mmap.mmap(-1, max(1, megabytes) * MB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, megabytes * MB, mmap.PAGESIZE):
        block[start] = 1
    return block


def pages_kb(pid: int | str, *kinds: str) -> int:
    """What the kernel finds in a process when it walks its pages, in no counter's words."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(kinds))


@app.function(timeout=30, memory=2048)
def itself(megabytes: int) -> int:
    """Touch so much and tell what was resident then, in KB."""
    block = touched(megabytes)
    return pages_kb("self", "Rss:") if len(block) else 0


@app.function(timeout=30, memory=2048)
def forked(megabytes: int) -> int:
    """The same in a child that shares what it does not write to."""
    there, there_end = os.pipe()
    child = os.fork()
    if child == 0:
        block = touched(megabytes)
        os.write(there_end, b".")
        time.sleep(HELD)
        os._exit(len(block) and 0)
    os.read(there, 1)
    truth = pages_kb("self", "Rss:") + pages_kb(child, "Private_")
    os.waitpid(child, 0)
    os.close(there)
    os.close(there_end)
    return truth


@app.function(timeout=30, memory=2048)
def program(megabytes: int) -> int:
    """The same in another program."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-S", "-c", PROGRAM, str(megabytes)], **pipes)
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(HELD)
    truth = pages_kb("self", "Rss:") + pages_kb(child.pid, "Private_")
    child.communicate()
    return truth


@app.function(timeout=30, memory=2048)
def brief(megabytes: int) -> int:
    """A child that ends as soon as it has it all."""
    child = os.fork()
    if child == 0:
        os._exit(len(touched(megabytes)) and 0)
    os.waitpid(child, 0)
    return pages_kb("self", "Rss:") + megabytes * 1024


@app.function(timeout=LATE, memory=2048)
def late(event: Any) -> None:
    """Write down what was resident, and run into the deadline."""
    write_down(*event)
    time.sleep(60)


@app.function(timeout=30, memory=2048)
def aborts(event: Any) -> None:
    """The same, and be gone."""
    write_down(*event)
    os.abort()


def write_down(megabytes: int, path: str) -> None:
    global kept
    kept = touched(megabytes)
    Path(path).write_text(str(pages_kb("self", "Rss:")))


# Without end.


@app.function(timeout=30, memory=128)
def grows(event: Any) -> None:
    """Allocate as fast as possible in so many processes or threads; each counts in a file what it has."""
    where, how, count, path = event
    with open(path, "w+b") as file:
        file.truncate(mmap.PAGESIZE)
        counts = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def grow(number: int) -> None:
        GROW[how](lambda megabytes: counts.__setitem__(slice(8 * number, 8 * number + 8), struct.pack("q", megabytes)))
        time.sleep(60)

    for number in range(count):
        if where == "leader":
            threading.Thread(target=grow, args=(number,)).start()
        else:
            fork(grow, number, detached=where == "detached")
    time.sleep(60)


def fork(act: Callable[[int], None], number: int, *, detached: bool) -> None:
    if os.fork() == 0:
        if detached:
            os.setsid()
            if os.fork():
                os._exit(0)
        act(number)
        os._exit(0)
    if detached:
        os.wait()


def grow_plainly(tell: Callable[[int], None]) -> None:
    block = mmap.mmap(-1, MOST * MB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(MADV_NOHUGEPAGE)
    piece = b"x" * MB
    for megabytes in range(1, MOST):
        block.write(piece)
        tell(megabytes)


def grow_by_huge_pages(tell: Callable[[int], None]) -> None:
    """As NumPy does for large arrays: the fastest way there is, where the system has them."""
    block = mmap.mmap(-1, MOST * MB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(MADV_HUGEPAGE)
    for megabytes in range(0, MOST, 2):
        block[megabytes * MB] = 1
        tell(megabytes + 2)


def grow_populated(tell: Callable[[int], None]) -> None:
    """The kernel fills whole blocks, in one call each."""
    blocks = []
    while len(blocks) < MOST // 4:
        blocks.append(mmap.mmap(-1, 4 * MB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_POPULATE))
        tell(4 * len(blocks))


def grow_slowly(tell: Callable[[int], None]) -> None:
    pieces = []
    while len(pieces) < MOST:
        pieces.append(b"x" * MB)
        tell(len(pieces))
        time.sleep(0.001)


GROW = {"plain": grow_plainly, "huge": grow_by_huge_pages, "populated": grow_populated, "slow": grow_slowly}
