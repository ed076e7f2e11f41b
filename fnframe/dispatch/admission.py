"""Whether an invocation may begin: concurrency, reserved and shared."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..function import Function, Limits

SHARED_REASON = "ConcurrentInvocationLimitExceeded"
RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Share:
    """A number of invocations that may be in progress at once.

    Used from the event loop's thread and from callers' threads: a deque gives and takes atomically, without a lock.
    """

    __slots__ = ("_owed", "_places", "cap", "reason")

    def __init__(self, cap: int, reason: str) -> None:
        self.cap = cap
        self.reason = reason
        self._places = deque([None] * cap)
        self._owed: deque[None] = deque()
        """Places that a smaller cap has taken away while they were in use."""

    def enter(self) -> bool:
        """Take a place, if one is free."""
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def leave(self) -> None:
        """Give the place back."""
        if not (self._owed and _taken(self._owed)):
            self._places.append(None)

    def resize(self, cap: int) -> None:
        """Let so many in from now on, those counted who are in."""
        for _ in range(cap - self.cap):
            self.leave()
        for _ in range(self.cap - cap):
            if not _taken(self._places):
                self._owed.append(None)
        self.cap = cap


class Shares:
    """A function with reserved concurrency has a share of its own, together with its versions; all others share what
    is left.

    Shares outlive a reload, as what is in progress does.
    """

    def __init__(self) -> None:
        self._shared = Share(0, SHARED_REASON)
        self._reserved: dict[str, Share] = {}

    def divide(self, functions: Sequence[Function], limits: Limits) -> dict[str, Share]:
        """The share of each function, by name."""
        reserved = {f.title: f.reserved_concurrency for f in functions if f.reserved_concurrency is not None}
        self._shared.resize(max(0, limits.concurrency - sum(reserved.values())))
        self._reserved = {title: self._reserved.get(title) or Share(0, RESERVED_REASON) for title in reserved}
        for title, cap in reserved.items():
            self._reserved[title].resize(cap)
        return {function.name: self._reserved.get(function.title, self._shared) for function in functions}


def _taken(places: deque[None]) -> bool:
    try:
        places.pop()
    except IndexError:
        return False
    return True
