"""The host's gauge of the memory of one environment: its own process, and whatever that started."""

from __future__ import annotations

import os
import time

from .memory import PAGE_KB, Seen, descendants, is_borrowed, look_at, private_kb

TICK = 0.005
"""Seconds between two looks at the memory of a busy environment."""
SHORTEST = 0.001
"""Seconds between two looks at one that will be over its limit sooner than that."""
SHARE = 0.1
"""Of the host's time, the most that looking at the children of one environment may take."""
CLOSE_SHARE = 0.05
"""The same for telling what they share from what is their own."""
LONGEST = 0.01
"""Seconds above which that is done ten times less often, as nothing else in the host goes on meanwhile."""
UNSEEN_KB = 256
"""What children may have copied for themselves before they are looked at closely again."""


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

    def is_over(self, of: object, now: float) -> bool:
        """Whether it and its children use more than its limit now, while it runs `of`."""
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
            children = self._children.kb(now, self._limit_kb - own)
        total = own + children
        self.seen_kb = max(self.seen_kb, own)
        if children:
            self.together_kb = max(self.together_kb, total)
        self._plan(now, total)
        return total > self._limit_kb

    def _plan(self, now: float, total: int) -> None:
        """Look again after a tick, or later where there are many children; sooner where it may be over by then."""
        (before, was), self._last = self._last, (now, total)
        # What grew may pause for want of a processor, and go on.
        interval = min(2 * self._interval, max(TICK, self._children.took / SHARE))
        if self._children.are_new:
            interval = TICK / 2
        if total > was and now > before:
            until_over = (self._limit_kb - total) * (now - before) / (total - was)
            interval = min(interval, until_over / 4)
        self._interval = max(SHORTEST, 2 * self._children.took, interval)
        self.next = now + self._interval


class Children:
    """What all that descends from an environment uses beyond what it shares.

    To tell what is shared takes long: the kernel walks all pages. A new process is taken to share as much as its
    parent has, until there is time for a close look. After that what it gains is added, as long as no file is behind
    it, since programs and libraries are shared; it is looked at closely again where its page faults say that it may
    have copied for itself what it shared.
    """

    def __init__(self, pid: int) -> None:
        self.took = 0.0
        """Seconds of this host's processor time that the last look at all of them took."""
        self._pid = pid
        self._known: dict[int, tuple[int, Seen]] = {}
        """What of each is its own, and what was seen of it when that was found."""
        self._guessed: set[int] = set()
        """Those that were not looked at closely yet."""
        self._close_due = 0.0

    @property
    def are_new(self) -> bool:
        """Whether what some of them have is a guess yet."""
        return bool(self._guessed)

    def kb(self, now: float, most: int) -> int:
        """What they use; above `most` only if it is no guess."""
        begin = time.thread_time()
        found = {pid: look_at(pid) for pid in descendants(self._pid)}
        self._meet(now, found)
        self.took = time.thread_time() - begin
        if now >= self._close_due and sum(self._unseen_kb(pid, seen) for pid, seen in found.items()) > UNSEEN_KB:
            begin = time.thread_time()
            self._look_closely(found, set(found))
            took = time.thread_time() - begin
            self._close_due = now + took / CLOSE_SHARE * (1 if took < LONGEST else 10)
        elif self._guessed and self._estimate(found) > most:
            self._look_closely(found, self._guessed)
        return self._estimate(found)

    def _meet(self, now: float, found: dict[int, Seen]) -> None:
        """Forget those that are gone, and guess what the new ones have."""
        if not self._known.keys() & found.keys():
            self._close_due = now + TICK  # Most have just been forked, and the program that they will be is to come.
        self._known = {pid: known for pid, known in self._known.items() if pid in found}
        self._guessed &= found.keys()
        for pid in found.keys() - self._known.keys():
            seen = found[pid]
            inherited = (found.get(seen.parent) or look_at(seen.parent)).anonymous_kb
            self._known[pid] = max(0, seen.anonymous_kb - inherited), seen._replace(faults=0)
            self._guessed.add(pid)

    def _estimate(self, found: dict[int, Seen]) -> int:
        total = 0
        for pid, seen in found.items():
            own, was = self._known[pid]
            total += max(0, own + seen.anonymous_kb - was.anonymous_kb)
        return total

    def _unseen_kb(self, pid: int, seen: Seen) -> int:
        """What may have become its own and is not counted, since it was there before and shared."""
        _, was = self._known[pid]
        return max(0, (seen.faults - was.faults) * PAGE_KB - max(0, seen.anonymous_kb - was.anonymous_kb))

    def _look_closely(self, found: dict[int, Seen], pids: set[int]) -> None:
        for pid in pids:
            before = found[pid]
            own = 0 if is_borrowed(pid, before) else private_kb(pid)
            # Once more, since some of what it gained meanwhile is in its own already; what is not, its faults tell.
            found[pid] = look_at(pid)._replace(faults=before.faults)
            self._known[pid] = own, found[pid]
        self._guessed -= pids


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
