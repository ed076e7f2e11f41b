"""What processes use, as the system tells it from outside."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Iterator
from typing import NamedTuple

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
TICKS = os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2
"""The clock of a process's processor time, all threads together, in nanoseconds: see clock_getcpuclockid(3)."""
KCMP, KCMP_VM = {"x86_64": 312, "aarch64": 272, "riscv64": 272}.get(platform.machine()), 1
"""The number of the system call kcmp(2), for which libc has no name, and what it is to compare."""
LONGEST = 64 * 1024
"""Bytes of a file of /proc that are read."""

libc = ctypes.CDLL(None, use_errno=True)


def descendants(pid: int) -> Iterator[int]:
    """The process ids of what a process and its children started, as far as it lives."""
    parents = [pid]
    while parents:
        parent = parents.pop()
        for thread in _names(f"/proc/{parent}/task"):
            children = list(map(int, _read_list(f"/proc/{parent}/task/{thread}/children").split()))
            yield from children
            parents += children


class Seen(NamedTuple):
    """What one look at a process tells: memory in KB, and how often a page was given or copied to it.

    Anonymous is what no file is behind: files are programs and libraries, which processes share.
    """

    resident_kb: int
    anonymous_kb: int
    size_kb: int
    faults: int
    parent: int


def look_at(pid: int) -> Seen:
    """Zeros when the process is gone."""
    memory = _read(f"/proc/{pid}/statm").split()
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if not memory or not fields:
        return Seen(0, 0, 0, 0, 0)
    size, resident, shared = (int(pages) * PAGE_KB for pages in memory[:3])
    return Seen(resident, resident - shared, size, int(fields[7]), int(fields[1]))


def is_stopped(pid: int) -> bool:
    """Whether a signal stopped a process."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] == [b"T"]


def threads(pid: int) -> int:
    """How many threads a process has; 0 when it is gone."""
    try:
        return os.stat(f"/proc/{pid}/task").st_nlink - 2
    except OSError:
        return 0


def is_borrowed(pid: int, seen: Seen) -> bool:
    """Whether a process runs in its parent's own memory, as one does between vfork and exec."""
    if KCMP is not None:
        answer = libc.syscall(KCMP, pid, seen.parent, KCMP_VM, 0, 0)
        if answer >= 0:
            return bool(answer == 0)
    # Not told here, as in most containers: nothing else is of the same size to the page.
    return seen.size_kb > 0 and look_at(seen.parent)[:3] == seen[:3]


def private_kb(pid: int) -> int:
    """Resident memory that no other process shares; 0 when the process is gone. Takes 3 milliseconds for 100 MB."""
    lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(b"Private_"))


def used(pid: int) -> tuple[int, int] | None:
    """A process's peak in KB since it was reset, and its processor time in microseconds, its waited-for children's
    included; None when it is gone or a zombie."""
    try:
        own = time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    except OSError:
        return None
    peaks = [line.split()[1] for line in _read(f"/proc/{pid}/status").splitlines() if line.startswith(b"VmHWM:")]
    times = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[13:15]
    if not peaks or not times:
        return None
    return int(peaks[0]), round(own * 1e6 + sum(map(int, times)) / TICKS * 1e6)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  names are wanted
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, LONGEST)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _read_list(path: str) -> bytes:
    """The kernel gives a page of a list at a time: some 600 processes."""
    try:
        with open(path, "rb", 0) as file:
            return file.readall()
    except OSError:
        return b""
