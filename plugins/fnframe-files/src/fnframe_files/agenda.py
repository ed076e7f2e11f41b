"""Which paths are to be looked at, and when."""

from __future__ import annotations

import enum
import heapq
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ledger import Ledger
    from .version import Version

Views = list[tuple["Ledger", str]]


class Hint(enum.Enum):
    """What the system said of a file: that it lies there, that it is new or not, that it was closed or renamed."""

    FOUND = enum.auto()
    CHANGED = enum.auto()
    COMPLETE = enum.auto()


class Entry:
    """A path to look at, and the ledgers that want to know, each with its key for it."""

    __slots__ = ("hint", "path", "regular", "seen", "tries", "views")

    def __init__(self, path: str, views: Views, hint: Hint, *, regular: bool = False) -> None:
        self.path = path
        self.views = views
        self.hint = hint
        self.regular = regular
        self.tries = 0
        self.seen: Version | None = None


class Agenda:
    """One entry at the most for each path; of what the system tells of it, the last counts."""

    def __init__(self) -> None:
        self._now: dict[str, Entry] = {}
        self._later: dict[str, Entry] = {}
        self._moments: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()

    def add(self, entry: Entry) -> None:
        """Look at a path as soon as possible; a scan's news of a path that is on the agenda is none."""
        before = self._now.get(entry.path) or self._later.get(entry.path)
        if before is None:
            self._now[entry.path] = entry
            return
        views = [*before.views, *(view for view in entry.views if view not in before.views)]
        if entry.hint is Hint.FOUND:
            # The rest of what was announced may be among what the system forgot to tell.
            before.hint = Hint.FOUND if before.hint is Hint.CHANGED else before.hint
            before.views = views
        else:
            entry.views = views
            self._later.pop(entry.path, None)
            self._now[entry.path] = entry

    def postpone(self, entry: Entry, seconds: float) -> None:
        """Look again later, unless something is heard of the path before."""
        if entry.path not in self._now:
            self._later[entry.path] = entry
            heapq.heappush(self._moments, (time.monotonic() + seconds, next(self._order), entry))

    def take(self) -> list[Entry]:
        """All that is due; it is not on the agenda any more."""
        now = time.monotonic()
        while self._moments and self._moments[0][0] <= now:
            _, _, entry = heapq.heappop(self._moments)
            if self._later.get(entry.path) is entry:
                self._now[entry.path] = self._later.pop(entry.path)
        due, self._now = self._now, {}
        return list(due.values())

    def delay(self) -> float:
        """Seconds until something is due; infinite if nothing will be."""
        if self._now:
            return 0.0
        return max(0.0, self._moments[0][0] - time.monotonic()) if self._moments else float("inf")

    def paths(self) -> set[str]:
        return {*self._now, *self._later}
