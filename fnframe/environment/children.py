"""What all that descends from an environment uses beyond what it shares."""

from __future__ import annotations

import math
import threading
import time

from .memory import PAGE_KB, Seen, descendants, is_borrowed, look_at, private_kb

MOST_PROCESSES = 1024
"""What an environment may have started that runs, as in Lambda."""
CLOSE_SHARE = 0.05
"""Of the host's time, the most that telling what children share from what is their own may take."""
UNSEEN_KB = 256
"""What children may have copied for themselves before they are looked at closely again."""
SETTLING = 0.005
"""Seconds in which a process that has just been forked becomes the program that it is to be."""


class Children:
    """Looks at the descendants of a process again and again.

    To tell what is shared takes long: the kernel walks all pages. A new process is taken to share as much as its
    parent has, until there was a close look. After that what it gains is added, as long as no file is behind it, since
    programs and libraries are shared; it is looked at closely again where its page faults say that it may have copied
    for itself what it shared.
    """

    def __init__(self, pid: int) -> None:
        self.are_too_many = False
        self.took = 0.0
        """Seconds of this host's processor time that the last look at all of them took."""
        self._pid = pid
        self._known: dict[int, tuple[int, Seen]] = {}
        """What of each is its own, and what was seen of it when that was found."""
        self._guessed: set[int] = set()
        """Those that were not looked at closely yet."""
        self._close: CloseLook | None = None
        """The close look that is under way."""
        self._close_due = 0.0

    @property
    def are_guessed(self) -> bool:
        """Whether what some of them have is a guess yet."""
        return bool(self._guessed)

    def kb(self, now: float, most: int, until: float = math.inf) -> int:
        """What they use; above `most` only as far as it is no guess.

        A look that is not over at the moment `until` is given up: where there are thousands that keep the processors
        busy, it may take seconds.
        """
        begin = time.thread_time()
        found: dict[int, Seen] = {}
        for pid in descendants(self._pid):
            found[pid] = look_at(pid)
            if len(found) > MOST_PROCESSES or time.monotonic() > until:
                break
        self.are_too_many = len(found) > MOST_PROCESSES
        self._meet(now, found)
        self.took = time.thread_time() - begin
        if self._close is not None and self._close.is_over:
            self._learn(self._close, now)
            self._close = None
        total = self._estimate(found)
        if self._close is None:
            if now >= self._close_due and sum(self._unseen_kb(pid, seen) for pid, seen in found.items()) > UNSEEN_KB:
                self._close = CloseLook(found)
            elif self._guessed and total > most:
                self._close = CloseLook({pid: found[pid] for pid in self._guessed})
        if self._guessed and total > most:
            return max(most, self._estimate({pid: found[pid] for pid in found if pid not in self._guessed}))
        return total

    def _meet(self, now: float, found: dict[int, Seen]) -> None:
        """Forget those that are gone, and guess what the new ones have."""
        if not self._known.keys() & found.keys():
            self._close_due = now + SETTLING
        self._known = {pid: known for pid, known in self._known.items() if pid in found}
        self._guessed &= found.keys()
        for pid in found.keys() - self._known.keys():
            seen = found[pid]
            inherited = (found.get(seen.parent) or look_at(seen.parent)).anonymous_kb
            self._known[pid] = max(0, seen.anonymous_kb - inherited), seen._replace(faults=0)
            self._guessed.add(pid)

    def _learn(self, close: CloseLook, now: float) -> None:
        for pid in close.found.keys() & self._known.keys():
            self._known[pid] = close.found[pid]
        self._guessed -= close.found.keys()
        self._close_due = now + close.took / CLOSE_SHARE

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


class CloseLook:
    """Tells what is their own of some processes, in a thread of its own.

    Whoever asks for a process's pages waits while it forks or changes what it has mapped, and where thousands fork,
    that is for seconds: no deadline must wait with it.
    """

    def __init__(self, seen: dict[int, Seen]) -> None:
        self.is_over = False
        self.found: dict[int, tuple[int, Seen]] = {}
        """What of each is its own, and what was seen of it then."""
        self.took = 0.0
        """Seconds of processor time."""
        threading.Thread(target=self._look, args=(seen,), name="fnframe-close-look", daemon=True).start()

    def _look(self, seen: dict[int, Seen]) -> None:
        begin = time.thread_time()
        for pid, before in seen.items():
            own = 0 if is_borrowed(pid, before) else private_kb(pid)
            # Once more, since some of what it gained meanwhile is in its own already; what is not, its faults tell.
            self.found[pid] = own, look_at(pid)._replace(faults=before.faults)
        self.took = time.thread_time() - begin
        self.is_over = True
