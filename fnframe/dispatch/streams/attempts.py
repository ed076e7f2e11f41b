"""A batch of a stream, tried in as many pieces as it takes until all of it is done or given up on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec

from ...event import Event
from ...outcome import INVALID_EVENT, SERVICE_FAILED, Failure, Outcome, Report, Success
from ..answer import INVALID, InvalidAnswer, failures, state_of
from ..ending import ended_environment, was_refused, was_throttled
from ..polled_function import LATE, UNSERVED
from .tumbling import EMPTY, LARGEST_STATE, Tumbling

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Record
    from ..settled.records import LostCondition
    from .stream_function import StreamFunction

log = logging.getLogger("fnframe.poller")


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

    def names(self) -> dict[str, int]:
        """By what a handler may name a record that failed, and its place."""
        names = {record.id: place for place, record in enumerate(self.records)}
        return names | {str(record.position): place for place, record in enumerate(self.records)}


class Attempts:
    """What a lane of a partition tries. `finished` is told whenever something is done, with the reports of it."""

    def __init__(
        self, function: StreamFunction, partition: int, clock: Clock, tumbling: Tumbling | None,
        finished: Callable[[Sequence[Report]], None],
    ) -> None:  # fmt: skip
        self._function = function
        self._trigger = function.trigger
        self._partition = partition
        self._clock = clock
        self._tumbling = tumbling
        self._finished = finished
        self._pieces: list[Piece] = []
        """What is tried, the first of it last."""
        self._pausing = anyio.Event()
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True
        self._pausing.set()

    @property
    def held(self) -> int:
        """How many records are not done."""
        return sum(len(piece.records) for piece in self._pieces)

    @property
    def first(self) -> float:
        """The position of the first record that is not done; infinity if there is none."""
        return next((piece.records[0].position for piece in reversed(self._pieces) if piece.records), math.inf)

    async def through(self, piece: Piece) -> None:
        """Try until all of it is done or given up on, or the lane is stopped."""
        self._pieces.append(piece)
        while self._pieces and not self._stopped:
            piece = self._pieces[-1]
            if await self._gives_up_on_old(piece):
                continue
            try:
                event = self._event(piece)
                outcome = await self._function.invoke(event, piece.attempt)
            except Exception as error:
                event = self._function.bare_event(self._partition, piece.records)
                failure = self._function.raised(event, error, piece.attempt)
                await self._failed(piece, event, failure, failure)
                continue
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
        try:
            failed = failures(success, piece.names) if self._trigger.partial_failures else []
            state = None if self._tumbling is None or piece.closing is not None else state_of(success)
        except InvalidAnswer as problem:
            told = "%s: function %r: its answer fails the whole batch of %d: %s"
            log.warning(told, self._function.source, self._function.name, len(piece.records), problem)
            await self._failed(piece, event, success, _failure(success, INVALID, str(problem)))
            return
        done = failed[0] if failed else len(piece.records)
        if done or not failed:
            of_them = self._event(Piece(piece.records[:done], piece.attempt)) if failed else event
            self._function.tell(of_them, success, piece.attempt)
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

        In two also where one record ended the environment, or was no good to the handler or to a plugin, and the others
        need not.
        """
        if was_refused(failure):  # A budget, say: the stream waits for better times.
            return await self._pause(self._function.policy.delay(LATE))
        if was_throttled(failure):
            return await self._pause(self._function.throttled_for(failure, self._function.policy))
        lost = piece.lost + ended_environment(failure)
        splits = self._trigger.bisect or lost > piece.lost or failure.error_type in (INVALID_EVENT, SERVICE_FAILED)
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
        return self._trigger.on_failure is not None and piece.lost < lost >= self._trigger.poison

    async def _pause(self, seconds: float) -> None:
        if not self._stopped:
            self._pausing = anyio.Event()
            await self._clock.wait(self._pausing, self._clock.monotonic() + seconds)


def _failure(success: Success, error_type: str, message: str) -> Failure:
    """What an answer means that says it failed."""
    return Failure("failed", error_type, message, success.report)
