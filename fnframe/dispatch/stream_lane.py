"""One lane of a partition: records in their order, one batch at a time, each until it is done or given up on."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec

from ..event import Event
from ..outcome import INVALID_EVENT, Failure, Outcome, Report, Success
from .answer import INVALID, InvalidAnswer, failures, state_of
from .batcher import OVERHEAD
from .ending import ended_environment, was_throttled
from .tumbling import EMPTY, LARGEST_STATE, Tumbling

if TYPE_CHECKING:
    from ..clock import Clock
    from ..engine.protocol import Record
    from .polled_records import StreamFunction
    from .records import LostCondition

log = logging.getLogger("fnframe.poller")

UNSERVED = 1.0
"""Seconds until records are looked at again whose function a reload took away just now."""


class Piece(msgspec.Struct):
    """Records that are tried together: a batch, or what is left of one.

    `attempt` counts from 1, `lost` how often its environment ended. `closing` makes it the last invocation of a
    tumbling window: without records, and with this state. Records are those whose invocations left the state.
    """

    records: Sequence[Record]
    attempt: int = 1
    lost: int = 0
    closing: bytes | None = None
    early: bool = False


class Lane:
    """`finished` is told whenever something is done, with the reports of it; `caught_up` when the partition was read
    to its end, in seconds since the epoch."""

    def __init__(
        self, function: StreamFunction, partition: int, clock: Clock, tumbling: Tumbling | None, *,
        finished: Callable[[Sequence[Report]], None], caught_up: Callable[[], float],
    ) -> None:  # fmt: skip
        self._function = function
        self._trigger = function.trigger
        self._partition = partition
        self._clock = clock
        self._tumbling = tumbling
        self._finished = finished
        self._caught_up = caught_up
        self._todo: deque[Record] = deque()
        self._bytes = 0
        self._pieces: list[Piece] = []
        """What is tried, the first of it last."""
        self._news = anyio.Event()
        self._pausing = anyio.Event()
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
        self._pausing.set()

    @property
    def held(self) -> int:
        """How many records are not done."""
        return len(self._todo) + sum(len(piece.records) for piece in self._pieces)

    @property
    def size(self) -> int:
        """Bytes of the records that have not begun."""
        return self._bytes

    @property
    def first(self) -> float:
        """The position of the first record that is not done; infinity if there is none."""
        for piece in reversed(self._pieces):
            if piece.records:
                return piece.records[0].position
        return self._todo[0].position if self._todo else math.inf

    async def run(self) -> None:
        """Work until stopped."""
        while not self._stopped:
            if piece := self._next():
                self._pieces.append(piece)
                await self._through()
            else:
                self._news = anyio.Event()
                await self._clock.wait(self._news, self._clock.monotonic() + self._patience())

    # What comes next.

    def _next(self) -> Piece | None:
        """The next batch, or the end of a window, if it is time for one."""
        if self._closes():
            assert self._tumbling is not None
            return Piece((), closing=self._tumbling.state)
        if self._todo and (self._is_full() or self._due() <= self._clock.time()):
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

    def _due(self) -> float:
        """When the first record will have waited for the others of its batch long enough."""
        return self._todo[0].accepted + self._trigger.window if self._todo else math.inf

    def _patience(self) -> float:
        return max(0.0, self._due() - self._clock.time())

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

    # One piece after the other.

    async def _through(self) -> None:
        """Try what is in progress until all of it is done or given up on, or the lane is stopped."""
        while self._pieces and not self._stopped:
            piece = self._pieces[-1]
            if await self._gives_up_on_old(piece):
                continue
            event = self._event(piece)
            outcome = await self._function.invoke(event, piece.attempt)
            if outcome is None:
                await self._pause(UNSERVED)
            elif isinstance(outcome, Success):
                await self._judge(piece, event, outcome)
            else:
                await self._failed(piece, event, outcome, outcome)

    def _event(self, piece: Piece) -> Event:
        if self._tumbling is None:
            return self._function.event(self._partition, piece.records, piece.attempt, None, EMPTY)
        closing = piece.closing
        span = self._tumbling.span(is_final=closing is not None, is_terminated_early=piece.early)
        if closing is None:
            return self._function.event(self._partition, piece.records, piece.attempt, span, self._tumbling.state)
        return self._function.event(self._partition, (), piece.attempt, span, closing)

    async def _gives_up_on_old(self, piece: Piece) -> bool:
        """Pass over the records that are too old; whether the piece is another one then."""
        age = self._trigger.maximum_age
        if age is None or piece.closing is not None:
            return False
        limit = self._clock.time() - age
        old = [record for record in piece.records if record.accepted < limit]
        if not old:
            return False
        event = self._event(Piece(old, piece.attempt))
        await self._function.give_up(self._partition, old, "RecordAgeExceeded", event, piece.attempt - 1)
        self._advance(piece, len(old), ())
        return True

    async def _judge(self, piece: Piece, event: Event, success: Success) -> None:
        """The function answered: that all is done, or which records failed."""
        names = {str(record.position): place for place, record in enumerate(piece.records)}
        names |= {record.id: place for place, record in enumerate(piece.records) if record.id}
        try:
            failed = failures(success, names)
            state = None if self._tumbling is None or piece.closing is not None else state_of(success)
        except InvalidAnswer as problem:
            told = "%s: function %r: its answer fails the whole batch of %d: %s"
            log.warning(told, self._function.source, self._function.name, len(piece.records), problem)
            await self._failed(piece, event, success, _failure(success, INVALID, str(problem)))
            return
        done = failed[0] if failed else len(piece.records)
        if done or not failed:
            self._function.succeeded(event, success, piece.attempt)
        if failed and not done:
            named = _failure(success, "BatchItemFailure", "the handler named the first record as failed")
            await self._failed(piece, event, success, named, named=True)
        elif state is not None and len(state) > LARGEST_STATE:
            self._terminate_early(piece, done, state, success.report)
        else:
            self._succeed(piece, done, state, success.report)
            if failed:
                await self._pause(self._function.policy.delay(1))

    def _succeed(self, piece: Piece, done: int, state: bytes | None, report: Report) -> None:
        if self._tumbling is not None:
            if state is not None:
                self._tumbling.state = state
            elif piece.early:
                self._tumbling.state = EMPTY
            else:
                self._tumbling.close()
        self._advance(piece, done, (report,))

    def _terminate_early(self, piece: Piece, done: int, state: bytes, report: Report) -> None:
        """The state became too large to be kept: its window has its last invocation before the records count as done,
        so that a crash in between repeats them."""
        self._pieces.pop()
        if done < len(piece.records):
            self._pieces.append(Piece(piece.records[done:]))
        self._pieces.append(Piece(piece.records[:done], closing=state, early=True))
        self._finished((report,))

    def _advance(self, piece: Piece, done: int, reports: Sequence[Report]) -> None:
        """So many records of the piece are done; for what is left, attempts are counted anew."""
        self._pieces.pop()
        if done < len(piece.records):
            self._pieces.append(Piece(piece.records[done:]))
        self._finished(reports)

    async def _failed(
        self, piece: Piece, event: Event, outcome: Outcome, failure: Failure, *, named: bool = False
    ) -> None:
        """Again, in two, or not any more. `named`: it is the first record that failed.

        In two also where one record ended the environment, or was no good to the handler, and the others need not.
        """
        if was_throttled(failure):
            return await self._pause(max(self._function.policy.delay(1), failure.retry_after or 0.0))
        lost = piece.lost + ended_environment(failure)
        splits = self._trigger.bisect or lost > piece.lost or failure.error_type == INVALID_EVENT
        if splits and len(piece.records) > 1 and piece.closing is None:
            self._split(piece, 1 if named else len(piece.records) // 2, lost)
        elif self._is_spent(piece, lost):
            condition: LostCondition = "RetryAttemptsExhausted"
            await self._function.give_up(
                self._partition, piece.records, condition, event, piece.attempt, outcome, failure
            )
            if piece.closing is not None:
                self._succeed(piece, len(piece.records), None, failure.report)
            else:
                self._advance(piece, len(piece.records), (failure.report,))
            return None
        else:
            self._pieces[-1] = msgspec.structs.replace(piece, attempt=piece.attempt + 1, lost=lost)
        self._finished((failure.report,))
        return await self._pause(self._function.policy.delay(piece.attempt))

    def _split(self, piece: Piece, place: int, lost: int) -> None:
        """Try the two parts by themselves, which is no attempt at either."""
        self._pieces.pop()
        self._pieces.append(Piece(piece.records[place:], piece.attempt, lost))
        self._pieces.append(Piece(piece.records[:place], piece.attempt, lost))

    def _is_spent(self, piece: Piece, lost: int) -> bool:
        most = self._trigger.maximum_attempts
        if most is not None and piece.attempt >= most:
            return True
        return self._trigger.on_failure is not None and lost >= self._trigger.poison

    async def _pause(self, seconds: float) -> None:
        if not self._stopped:
            self._pausing = anyio.Event()
            await self._clock.wait(self._pausing, self._clock.monotonic() + seconds)


def _size(record: Record) -> int:
    return len(record.body) + OVERHEAD


def _failure(success: Success, error_type: str, message: str) -> Failure:
    """What an answer means that says it failed."""
    return Failure("failed", error_type, message, success.report)
