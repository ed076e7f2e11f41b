"""What processes use, as the system tells it from outside."""

from __future__ import annotations

import os
import time
from pathlib import Path

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
TICKS = os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2
"""The clock of a process's processor time, all threads together, in nanoseconds: see clock_getcpuclockid(3)."""


def descendants(pid: int) -> list[int]:
    """The process ids of what a process and its children started, as far as it lives."""
    found: list[int] = []
    parents = [pid]
    while parents:
        parent = parents.pop()
        for thread in _names(f"/proc/{parent}/task"):
            children = [int(child) for child in _text(f"/proc/{parent}/task/{thread}/children").split()]
            found += children
            parents += children
    return found


def resident_kb(pid: int) -> int:
    """Resident memory; 0 when the process is gone."""
    fields = _text(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE_KB if fields else 0


def private_kb(pid: int) -> int:
    """Resident memory that no other process shares; 0 when the process is gone. Takes a millisecond for 100 MB."""
    lines = _text(f"/proc/{pid}/smaps_rollup").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def of_children_kb(pid: int, most: int) -> int:
    """What the descendants of a process use beyond what they share with it.

    Where all that they have resident is not above `most`, that is the answer, since it costs less to ask for.
    """
    children = descendants(pid)
    resident = sum(map(resident_kb, children))
    return resident if resident <= most else sum(map(private_kb, children))


def used(pid: int) -> tuple[int, int] | None:
    """A process's peak in KB since it was reset, and its processor time in microseconds, its waited-for children's
    included; None when it is gone or a zombie."""
    try:
        own = time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    except OSError:
        return None
    peaks = [line.split()[1] for line in _text(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM:")]
    times = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()[13:15]
    if not peaks or not times:
        return None
    return int(peaks[0]), round(own * 1e6 + sum(map(int, times)) / TICKS * 1e6)


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
