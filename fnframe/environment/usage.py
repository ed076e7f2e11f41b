"""What a process measures of itself: wall time, processor time and peak memory of one invocation."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import TYPE_CHECKING

from ..outcome import MemoryMethod
from .wire import Usage

if TYPE_CHECKING:
    from ..provider import Used

INHERITED_KB = 1024
"""By how much the two ways to ask the kernel for a peak may differ, as one counts less often than the other."""


class Meter:
    """Measures one invocation after another in the process that runs them.

    Writing 5 to clear_refs resets the kernel's high-water mark of resident memory (proc(5)), and a getrusage
    afterwards reads it: the true peak of this invocation. Where exec handed down a `ru_maxrss` that is larger than what
    this process has, the mark is read from procfs, which takes ten times as long. Where clear_refs cannot be written
    (read-only procfs, other systems) the figure is the high-water mark of the process since its start.
    """

    def __init__(self) -> None:
        try:
            self._clear_refs = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._clear_refs, b"5")
        except OSError:
            self._clear_refs = -1
        told = peak_kb(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        is_inherited = self._clear_refs >= 0 and told > high_water_kb() + INHERITED_KB
        self._peak_kb = high_water_kb if is_inherited else None
        # A handler that plays with time, as tests do, replaces the functions in their module.
        self._clock = time.perf_counter_ns
        self.method: MemoryMethod = "high-water" if self._clear_refs < 0 else "peak-rss-reset"
        self._cpu = 0.0
        self.start()

    def close(self) -> None:
        if self._clear_refs >= 0:
            os.close(self._clear_refs)
            self._clear_refs = -1

    def start(self) -> None:
        if self._clear_refs >= 0:
            os.write(self._clear_refs, b"5")
        self._start = self._clock()

    def stop(self, *, pending: int, children: bool, elsewhere: Used | None = None) -> Usage:
        """What was used since `start`; `elsewhere` in the process that did the work, if that is another."""
        duration = self._clock() - self._start
        peak, cpu = self.used() if elsewhere is None else elsewhere[:2]
        return Usage(duration, peak, cpu, pending, children)

    def used(self) -> tuple[int, int]:
        """Peak memory in KB, and processor time in microseconds since this was asked before.

        So no processor time escapes: what threads use between two invocations counts for the second. Asking the kernel
        at the start as well would cost two microseconds of each invocation.
        """
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        before, self._cpu = self._cpu, own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        peak = peak_kb(own.ru_maxrss) if self._peak_kb is None else self._peak_kb()
        return peak, round((self._cpu - before) * 1e6)


def high_water_kb() -> int:
    """The high-water mark of this process's resident memory, which exec begins anew."""
    with open("/proc/self/status", "rb") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(b"VmHWM:"))


def peak_kb(ru_maxrss: int) -> int:
    """Linux counts `ru_maxrss` in kilobytes, macOS in bytes."""
    return ru_maxrss // 1024 if sys.platform == "darwin" else ru_maxrss
