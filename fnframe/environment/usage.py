"""What a process measures of itself: wall time, processor time and peak memory of one invocation."""

from __future__ import annotations

import os
import resource
import sys
import time

from ..outcome import MemoryMethod
from .wire import Usage


class Meter:
    """Measures one invocation after another in the process that runs them.

    Writing 5 to clear_refs resets the kernel's high-water mark of resident memory (proc(5)), and a getrusage
    afterwards reads it: the true peak of this invocation. Right only in a process that was forked and did not exec,
    since exec hands `ru_maxrss` down. Where clear_refs cannot be written (read-only procfs, other systems) the figure
    is the high-water mark of the process since its start.
    """

    def __init__(self) -> None:
        try:
            self._clear_refs = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._clear_refs, b"5")
        except OSError:
            self._clear_refs = -1
        self.method: MemoryMethod = "high-water" if self._clear_refs < 0 else "peak-rss-reset"
        self._children_cpu = 0.0
        self.start()

    def start(self) -> None:
        if self._clear_refs >= 0:
            os.write(self._clear_refs, b"5")
        own = resource.getrusage(resource.RUSAGE_SELF)
        self._cpu = own.ru_utime + own.ru_stime
        self._start = time.perf_counter_ns()

    def stop(self, *, pending: int, children: bool) -> Usage:
        duration = time.perf_counter_ns() - self._start
        own = resource.getrusage(resource.RUSAGE_SELF)
        waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Grows only when a handler waits for a child, so the last figure is still true at the start of the next.
        children_cpu = waited_for.ru_utime + waited_for.ru_stime
        cpu = own.ru_utime + own.ru_stime - self._cpu + children_cpu - self._children_cpu
        self._children_cpu = children_cpu
        return Usage(duration, peak_kb(own.ru_maxrss), round(cpu * 1e6), pending, children)


def peak_kb(ru_maxrss: int) -> int:
    """Linux counts `ru_maxrss` in kilobytes, macOS in bytes."""
    return ru_maxrss // 1024 if sys.platform == "darwin" else ru_maxrss
