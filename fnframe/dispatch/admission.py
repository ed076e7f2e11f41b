"""Whether an invocation may begin: concurrency, reserved and shared."""

from __future__ import annotations

from collections import deque

from ..function import Function, Limits

SHARED_REASON = "ConcurrentInvocationLimitExceeded"
RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Share:
    """A number of invocations that may be in progress at once.

    Used from the event loop's thread and from callers' threads: a deque gives and takes atomically, without a lock.
    """

    __slots__ = ("_places", "cap", "reason")

    def __init__(self, cap: int, reason: str) -> None:
        self.cap = cap
        self.reason = reason
        self._places = deque([None] * cap)

    def enter(self) -> bool:
        """Take a place, if one is free."""
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def leave(self) -> None:
        self._places.append(None)


def shares(functions: tuple[Function, ...], limits: Limits) -> dict[str, Share]:
    """A function with reserved concurrency has a share of its own, all others share what is left."""
    reserved = sum(function.reserved_concurrency or 0 for function in functions)
    shared = Share(max(0, limits.concurrency - reserved), SHARED_REASON)
    return {
        function.name: shared
        if function.reserved_concurrency is None
        else Share(function.reserved_concurrency, RESERVED_REASON)
        for function in functions
    }
