"""What a handler may know of its invocation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .sending import sendable

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[str, Any, str | None, float], Any]

OVER = "the invocation of this context is over"
"""Why what a handler left behind, a thread say, cannot send any more."""


class Context:
    """The second argument of a handler that takes two.

    `deadline` is a moment on `time.monotonic()`'s scale, `memory` the limit in MB, `attempt` 1 for the first try.
    """

    __slots__ = ("_send", "attempt", "deadline", "function", "memory", "request_id", "trace")

    def __init__(
        self,
        *,
        request_id: str,
        function: str,
        memory: int,
        deadline: float,
        attempt: int = 1,
        trace: str | None = None,
        send: Send | None = None,
    ) -> None:
        self.request_id = request_id
        self.function = function
        self.memory = memory
        self.deadline = deadline
        self.attempt = attempt
        self.trace = trace
        self._send = send

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
        return self._hand_over(f"function:{function}", data, None, 0.0)

    def send(
        self, target: str, data: Any = None, *, key: str | None = None, group: str | None = None, delay: float = 0.0
    ) -> Any:
        """Send a message to a queue (`"orders"`, `"queue:orders"`) or publish a record to a stream (`"stream:clicks"`).

        Messages of one `group` are handled in order, one batch at a time; `delay` is in seconds. Records of one `key`
        are handled in order. Returns as `enqueue` does, and what holds for its events holds here. Raises `ValueError`
        for a target, or a combination, that makes no sense.
        """
        found = sendable(target, key=key, group=group, delay=delay)
        return self._hand_over(str(found), data, group if key is None else key, delay)

    def _hand_over(self, target: str, data: Any, key: str | None, delay: float) -> Any:
        if self._send is None:
            raise RuntimeError("a context sends while its invocation runs; this one belongs to none")
        return self._send(target, data, key, delay)

    def __repr__(self) -> str:
        return f"<Context {self.function} {self.request_id} attempt {self.attempt}, {self.remaining():.3f} s left>"
