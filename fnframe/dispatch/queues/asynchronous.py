"""Asynchronous invocations: what an outcome means for an event that nobody waits for."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from ...destination import masked
from ...errors import FunctionNotFound
from ...event import Event
from ...outcome import EXITED, SERVICE_FAILED, Failure, Outcome, Success
from ..ending import (
    attempts_text,
    ended_environment,
    error_of,
    poison_text,
    tell_raised,
    was_refused,
    was_throttled,
)
from ..retry import put_record

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Lease
    from ...function import Function
    from ..dispatcher import Dispatcher, Observer
    from ..retry import RetryPolicy
    from ..settled.destinations import Destinations

log = logging.getLogger("fnframe.poller")

UNSERVED = 1.0
"""Seconds until an event is looked at again whose function a reload took away just now."""


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What the queue of a function holds: the event, and what must be the same for each attempt."""

    event: Event
    request_id: str
    trigger: str


encode_envelope = msgspec.msgpack.Encoder().encode
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode

Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]
"""Lambda's words for how an event ended."""

TOO_OLD: Literal["EventAgeExceeded"] = "EventAgeExceeded"


class Attempt(msgspec.Struct):
    """An event after an attempt: how it ended, or, without a condition, after how many seconds it comes again."""

    lease: Lease
    function: Function
    envelope: Envelope
    outcome: Outcome
    condition: Condition | None = None
    delay: float = 0.0
    tried: bool = True
    """Whether this attempt began."""


class Unfit(msgspec.Struct):
    """A message that could not be tried: no event, or none of a function that there is."""

    lease: Lease
    problem: str


class Asynchronous:
    """Runs the events of one function's queue, each until its end; see `poller.Handler`."""

    def __init__(
        self, name: str, dispatcher: Dispatcher, destinations: Destinations, clock: Clock, policy: RetryPolicy,
        settled: Observer,
    ) -> None:  # fmt: skip
        self._name = name
        self._dispatcher = dispatcher
        self._destinations = destinations
        self._clock = clock
        self._policy = policy
        self._settled = settled

    def is_suspect(self, lease: Lease) -> bool:
        """Whether one more end of its environment or host would be the last."""
        lost = lease.message.lost
        return lost > 0 and self._dispatcher.serves(self._name) and lost == self._function().poison - 1

    def _function(self) -> Function:
        return self._dispatcher.function(self._name)

    async def invoke(self, batch: Sequence[Lease]) -> Attempt | Unfit:
        (lease,) = batch
        message = lease.message
        try:
            envelope = decode_envelope(message.body)
            function = self._function()
            if message.lost >= function.poison:
                problem = poison_text(message.lost)
                return self._untried(lease, function, envelope, EXITED, problem, "RetriesExhausted")
            if self._clock.time() > message.accepted + function.maximum_age:
                return self._untried(lease, function, envelope, TOO_OLD, "it waited too long", TOO_OLD)
            outcome = await self._dispatcher.invoke(
                self._name,
                envelope.event,
                envelope.request_id,
                trigger=envelope.trigger,
                invocation_type="asynchronous",
                attempt=message.attempt,
            )
        except msgspec.DecodeError as error:
            return Unfit(lease, f"no event: {error}")
        except FunctionNotFound:
            return Unfit(lease, "")
        if isinstance(outcome, Success):
            return Attempt(lease, function, envelope, outcome, "Success")
        return self._failed(lease, function, envelope, outcome)

    def failed(self, batch: Sequence[Lease], error: Exception) -> Attempt | Unfit:
        (lease,) = batch
        problem = tell_raised(f"function {self._name!r}: event {lease.message.id}", error)
        try:
            envelope, function = decode_envelope(lease.message.body), self._function()
        except (msgspec.DecodeError, FunctionNotFound):
            return Unfit(lease, problem)
        failure = self._failure(lease, function, envelope, SERVICE_FAILED, problem)
        return self._failed(lease, function, envelope, failure)

    def _untried(
        self, lease: Lease, function: Function, envelope: Envelope, error_type: str, problem: str, condition: Condition
    ) -> Attempt:
        """The end of an event that is not run (once more)."""
        outcome = self._failure(lease, function, envelope, error_type, problem)
        return Attempt(lease, function, envelope, outcome, condition, tried=False)

    def _failure(self, lease: Lease, function: Function, envelope: Envelope, error_type: str, problem: str) -> Failure:
        """The failure of an event that no attempt tells of."""
        return self._dispatcher.failure(
            function,
            envelope.event,
            envelope.request_id,
            error_type,
            problem,
            trigger=envelope.trigger,
            invocation_type="asynchronous",
            attempt=lease.message.attempt,
        )

    def _failed(self, lease: Lease, function: Function, envelope: Envelope, failure: Failure) -> Attempt:
        """Again, or the end."""
        message = lease.message
        attempt = Attempt(lease, function, envelope, failure)
        throttled = was_throttled(failure)
        if throttled and function.reserved_concurrency == 0:
            attempt.condition = "ZeroReservedConcurrency"
        elif was_refused(failure) or (
            not throttled and (message.attempt > function.retries or self._is_poison(lease, function, failure))
        ):
            attempt.condition = "RetriesExhausted"
        else:
            attempt.delay = self._delay(function, message.attempt, counted=not throttled)
            if throttled:
                attempt.delay = max(attempt.delay, failure.retry_after or 0.0)
            if self._clock.time() + attempt.delay > message.accepted + function.maximum_age:
                attempt.condition = TOO_OLD
        return attempt

    def _delay(self, function: Function, attempt: int, *, counted: bool) -> float:
        """Seconds until the next attempt: what the function says of its retries, or the app's policy."""
        if counted and function.retry_delays:
            return function.retry_delays[min(attempt, len(function.retry_delays)) - 1]
        return self._policy.delay(attempt)

    def _is_poison(self, lease: Lease, function: Function, failure: Failure) -> bool:
        return ended_environment(failure) and lease.message.lost + 1 >= function.poison

    async def settle(self, verdict: Attempt | Unfit) -> Collection[str]:
        if isinstance(verdict, Unfit):
            comes_again = await self._settle_unfit(verdict)
        elif verdict.condition is None:
            comes_again = True
            await self._release(verdict)
        else:
            comes_again = False
            await self._end(verdict)
        group = verdict.lease.message.group
        return [group] if comes_again and group is not None else []

    async def _settle_unfit(self, unfit: Unfit) -> bool:
        """Whether it comes again."""
        if not unfit.problem:
            await unfit.lease.release(UNSERVED, counted=False)
            return True
        told = "function %r: message %s is %s; it lies among the dead letters"
        log.error(told, self._name, unfit.lease.message.id, unfit.problem)
        await unfit.lease.bury(unfit.problem)
        return False

    async def _end(self, attempt: Attempt) -> None:
        if isinstance(attempt.outcome, Success):
            await self._succeed(attempt, attempt.outcome)
        else:
            await self._give_up(attempt, attempt.outcome)

    async def _release(self, attempt: Attempt) -> None:
        throttled = was_throttled(attempt.outcome)
        await attempt.lease.release(
            attempt.delay,
            counted=not throttled,
            lost=ended_environment(attempt.outcome),
            report=None if throttled else attempt.outcome.report,
        )

    async def _succeed(self, attempt: Attempt, success: Success) -> None:
        destination = attempt.function.on_success
        if destination is not None and not await self._put(destination, attempt, "it is lost"):
            destination = None
        await attempt.lease.ack(success.report)
        self._tell(attempt, destination)

    async def _give_up(self, attempt: Attempt, failure: Failure) -> None:
        destination, lease = attempt.function.on_failure, attempt.lease
        report = failure.report if attempt.tried else None
        if destination is not None and await self._put(
            destination, attempt, "the event is kept among the dead letters"
        ):
            await lease.ack(report)
        else:
            destination = None
            reason = f"{attempt.condition}: {failure.message}"
            if attempt.tried:
                reason = f"{attempt.condition} after {attempts_text(self._attempts(attempt))}: {failure.error_type}"
            await lease.bury(reason, error_of(failure), report=report)
            told = "function %r: event %s lies among the dead letters: %s"
            log.warning(told, self._name, attempt.envelope.event.id, reason)
        self._tell(attempt, destination)

    def _tell(self, attempt: Attempt, destination: str | None) -> None:
        if self._settled is not None:
            attempts = self._attempts(attempt)
            shown = None if destination is None else masked(destination)
            self._settled(attempt.function, attempt.envelope.event, attempt.outcome, attempts, shown)

    def _attempts(self, attempt: Attempt) -> int:
        """How often the function ran."""
        number = attempt.lease.message.attempt
        return number if attempt.tried and attempt.condition != "ZeroReservedConcurrency" else number - 1

    async def _put(self, destination: str, attempt: Attempt, otherwise: str) -> bool:
        """Put the record to its destination; False if it will never be taken there."""
        put = partial(
            self._destinations.put,
            destination,
            attempt.function,
            attempt.envelope.event,
            attempt.outcome,
            attempt.condition or "",
            self._attempts(attempt),
        )
        what = f"function {self._name!r}: the record of event {attempt.envelope.event.id}"
        return await put_record(put, what, destination, otherwise, self._clock, self._policy)
