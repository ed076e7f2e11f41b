"""Whether an invocation may begin: concurrency, reserved and shared."""

from __future__ import annotations

from threading import Lock

from ..function import Function, Limits

SHARED_REASON = "ConcurrentInvocationLimitExceeded"
RESERVED_REASON = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Share:
    """A number of invocations that may be in progress at once."""

    __slots__ = ("cap", "in_progress", "reason")

    def __init__(self, cap: int, reason: str) -> None:
        self.cap = cap
        self.reason = reason
        self.in_progress = 0


class Admission:
    """Counts invocations in progress: a function with reserved concurrency has a share of its own, all others share
    what is left. Used from the event loop's thread and from callers' threads."""

    def __init__(self, functions: tuple[Function, ...], limits: Limits) -> None:
        reserved = sum(function.reserved_concurrency or 0 for function in functions)
        self._shared = Share(max(0, limits.concurrency - reserved), SHARED_REASON)
        self._lock = Lock()

    def share_of(self, function: Function) -> Share:
        if function.reserved_concurrency is None:
            return self._shared
        return Share(function.reserved_concurrency, RESERVED_REASON)

    def enter(self, share: Share) -> bool:
        with self._lock:
            if share.in_progress >= share.cap:
                return False
            share.in_progress += 1
            return True

    def leave(self, share: Share) -> None:
        with self._lock:
            share.in_progress -= 1
