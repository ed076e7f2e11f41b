"""The host's gauge of the memory of one environment: its own process, and whatever that started."""

from __future__ import annotations

import os

from .children import Children
from .memory import PAGE_KB

TICK = 0.005
"""Seconds between two looks at the memory of a busy environment."""
SHORTEST = 0.001
"""Seconds between two looks at one that will be over its limit sooner than that."""
SHARE = 0.1
"""Of the host's time, the most that looking at the children of one environment may take."""


class Gauge:
    """Looks at an environment again and again while it is busy.

    `seen_kb` is the most that was seen of its own process during the invocation `of`; `together_kb` the same with its
    children, 0 where none were seen. `next` is when to look again, on `time.monotonic()`'s scale.
    """

    def __init__(self, pid: int, limit_kb: int) -> None:
        self.of: object = None
        self.seen_kb = self.together_kb = 0
        self.next = 0.0
        self.elsewhere = False
        """Whether the environment works in a child process, and its own memory is none of the function's."""
        self._limit_kb = limit_kb
        self._children = Children(pid)
        self._last = (0.0, 0)
        self._interval = TICK
        self._statm = _open(f"/proc/{pid}/statm")
        self._first_thread = _open(f"/proc/{pid}/task/{pid}/children")

    def close(self) -> None:
        for descriptor in (self._statm, self._first_thread):
            if descriptor >= 0:
                os.close(descriptor)
        self._statm = self._first_thread = -1

    def is_over(self, of: object, now: float, until: float) -> bool:
        """Whether it and its children use more than its limit now, while it runs `of`; the look ends at `until`."""
        statm = _pread(self._statm, 64)
        if not statm:
            self.next = now + TICK
            return False
        own = 0 if self.elsewhere else int(statm.split(b" ", 2)[1]) * PAGE_KB
        is_new = self.of is not of
        if is_new:
            self.of, self.seen_kb, self.together_kb = of, 0, 0
        # Short invocations need not pay for a search; children of the first thread are seen for little.
        children = 0
        if not is_new or _pread(self._first_thread, 16):
            children = self._children.kb(now, self._limit_kb - own, until)
        total = own + children
        self.seen_kb = max(self.seen_kb, own)
        if children:
            self.together_kb = max(self.together_kb, total)
        self._plan(now, total)
        return total > self._limit_kb

    @property
    def is_crowded(self) -> bool:
        """Whether it has more children than it may."""
        return self._children.are_too_many

    def _plan(self, now: float, total: int) -> None:
        """Look again after a tick, or later where there are many children; sooner where it may be over by then."""
        (before, was), self._last = self._last, (now, total)
        # What grew may pause for want of a processor, and go on.
        interval = min(2 * self._interval, max(TICK, self._children.took / SHARE))
        if self._children.are_guessed:
            interval = TICK / 2
        if total > was and now > before:
            until_over = (self._limit_kb - total) * (now - before) / (total - was)
            interval = min(interval, until_over / 4)
        self._interval = max(SHORTEST, 2 * self._children.took, interval)
        self.next = now + self._interval


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # It is dead already.
        return -1


def _pread(descriptor: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, 0)
    except OSError:
        return b""
