"""One lane of a partition: records in their order, one batch at a time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from ..queues.batcher import OVERHEAD
from .attempts import Attempts, Piece

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Record
    from ...outcome import Report
    from .stream_function import StreamFunction
    from .tumbling import Tumbling


class Lane:
    """`finished` is told whenever something is done, with the reports of it; `caught_up` tells when the partition was
    read to its end, in seconds since the epoch."""

    def __init__(
        self, function: StreamFunction, partition: int, clock: Clock, tumbling: Tumbling | None, *,
        finished: Callable[[Sequence[Report]], None], caught_up: Callable[[], float],
    ) -> None:  # fmt: skip
        self._function = function
        self._trigger = function.trigger
        self._clock = clock
        self._tumbling = tumbling
        self._caught_up = caught_up
        self._attempts = Attempts(function, partition, clock, tumbling, finished)
        self._todo: deque[Record] = deque()
        self._bytes = 0
        self._news = anyio.Event()
        self._stopped = False

    def put(self, records: Sequence[Record]) -> None:
        """Take records, which lie behind all that it has."""
        self._todo.extend(records)
        self._bytes += sum(map(_size, records))
        self._news.set()

    def look(self) -> None:
        """The partition was read to its end: a window may be over."""
        self._news.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True
        self._news.set()
        self._attempts.stop()

    @property
    def held(self) -> int:
        """How many records are not done."""
        return len(self._todo) + self._attempts.held

    @property
    def size(self) -> int:
        """Bytes of the records that have not begun."""
        return self._bytes

    @property
    def first(self) -> float:
        """The position of the first record that is not done; infinity if there is none."""
        return min(self._attempts.first, self._todo[0].position if self._todo else math.inf)

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopped:
            if piece := self._next():
                await self._attempts.through(piece)
            else:
                self._news = anyio.Event()
                await self._clock.wait(self._news, self._clock.monotonic() + self._patience())

    # What comes next.

    def _next(self) -> Piece | None:
        """The next batch, or the end of a window, if it is time for one."""
        if self._closes():
            assert self._tumbling is not None
            return Piece((), closing=self._tumbling.state)
        if self._todo and (self._is_full() or self._patience() == 0.0):
            return Piece(self._take())
        return None

    def _closes(self) -> bool:
        """Whether the open window is over and has all its records."""
        if self._tumbling is None or self._tumbling.closes is None:
            return False
        if self._todo:
            return not self._tumbling.admits(self._todo[0])
        return self._caught_up() >= self._tumbling.closes

    def _is_full(self) -> bool:
        return len(self._todo) >= self._trigger.batch_size or self._bytes >= self._function.largest

    def _patience(self) -> float:
        """Seconds for which the first record still waits for the others of its batch."""
        if not self._todo:
            return math.inf
        waited = self._clock.time() - self._todo[0].accepted
        # One from the future was accepted before the clock was set back: nobody knows how long it has waited.
        return max(0.0, self._trigger.window - waited) if waited >= 0 else 0.0

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        room = self._function.largest
        while self._todo and len(batch) < self._trigger.batch_size:
            record = self._todo[0]
            room -= _size(record)
            if (batch and room < 0) or (self._tumbling is not None and not self._tumbling.admits(record)):
                break
            batch.append(self._todo.popleft())
        self._bytes -= sum(map(_size, batch))
        return batch


def _size(record: Record) -> int:
    return len(record.body) + OVERHEAD
