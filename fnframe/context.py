"""What a handler may know of its invocation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Enqueue = Callable[[str, Any], Any]


class Context:
    """The second argument of a handler that takes two.

    `deadline` is a moment on `time.monotonic()`'s scale, `memory` the limit in MB, `attempt` 1 for the first try.
    """

    __slots__ = ("_enqueue", "attempt", "deadline", "function", "memory", "request_id", "trace")

    def __init__(
        self,
        *,
        request_id: str,
        function: str,
        memory: int,
        deadline: float,
        attempt: int = 1,
        trace: str | None = None,
        enqueue: Enqueue | None = None,
    ) -> None:
        self.request_id = request_id
        self.function = function
        self.memory = memory
        self.deadline = deadline
        self.attempt = attempt
        self.trace = trace
        self._enqueue = enqueue

    def remaining(self) -> float:
        """Seconds until this invocation is ended; never below 0."""
        return max(0.0, self.deadline - time.monotonic())

    def enqueue(self, function: str, data: Any = None) -> Any:
        """Invoke another function asynchronously.

        Returns the event's id once the engine has accepted it; in an async handler, an awaitable of it. What was
        accepted stands even if this handler then fails; its id derives from this event's id and a counter, so that
        a retry repeats rather than multiplies. Raises `PayloadTooLarge` for more than the app's
        `Limits.asynchronous_payload`, and another `FnframeError` when it was refused.
        """
        if self._enqueue is None:
            raise RuntimeError("context.enqueue() works while an invocation runs; this context belongs to none")
        return self._enqueue(function, data)

    def __repr__(self) -> str:
        return f"<Context {self.function} {self.request_id} attempt {self.attempt}, {self.remaining():.3f} s left>"
