"""What `asyncio.Future` is on asyncio: what a caller waits for, without an event's weight. Imported on trio alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import trio


class TrioReply:
    """Awaited by one task, and set once, in trio's own thread."""

    __slots__ = ("_is_set", "_task")

    def __init__(self) -> None:
        self._is_set = False
        self._task: trio.lowlevel.Task | None = None

    def done(self) -> bool:
        return self._is_set

    def set_result(self, _: None, /) -> None:
        self._is_set = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    def __await__(self) -> Generator[Any, Any, None]:
        if not self._is_set:
            self._task = trio.lowlevel.current_task()
            yield from trio.lowlevel.wait_task_rescheduled(self._leave).__await__()  # noqa: ASYNC105

    def _leave(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
