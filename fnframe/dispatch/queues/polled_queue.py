"""Queues that feed a function: what an outcome means for the messages of a batch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from ...batch_event import Item, Origin, batch_event
from ...event import Event, decode_json, encode_json
from ...outcome import EXITED, SERVICE_FAILED, Failure, Outcome, Report, Success
from ..answer import INVALID, InvalidAnswer, failures
from ..carried import unwrapped
from ..ending import (
    attempts_text,
    ended_environment,
    error_of,
    poison_text,
    tell_raised,
    was_refused,
    was_throttled,
)
from ..polled_function import UNSERVED

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Lease, Message, Queue
    from ...polled import QueueTrigger
    from ..polled_function import PolledFunction
    from ..retry import RetryPolicy
    from ..selection import Admits

log = logging.getLogger("fnframe.poller")

NAMED = "BatchItemFailure"
"""The error type of a message that the handler named as failed."""
NAMED_ERROR = encode_json({"errorType": NAMED, "errorMessage": "the handler named it as failed"})
TOO_OLD = "EventAgeExceeded"


class Again(msgspec.Struct, frozen=True):
    """A message that comes again after `delay` seconds."""

    lease: Lease
    delay: float
    counted: bool
    lost: bool = False


class Dead(msgspec.Struct, frozen=True):
    """A message that is given up on."""

    lease: Lease
    reason: str
    error_type: str
    error: bytes = b"null"


class Verdict(msgspec.Struct):
    """What becomes of each message of a batch; the event and the outcome, if it was one that the function saw."""

    filtered: list[Lease] = []
    done: list[Lease] = []
    again: list[Again] = []
    dead: list[Dead] = []
    event: Event | None = None
    outcome: Outcome | None = None


class PolledQueue:
    """Runs a function on the batches of a queue; see `poller.Handler`."""

    def __init__(
        self, function: PolledFunction, queue: Queue, trigger: QueueTrigger, admits: Admits | None, clock: Clock,
        policy: RetryPolicy,
    ) -> None:  # fmt: skip
        self._function = function
        self._queue = queue
        self._trigger = trigger
        self._admits = admits
        self._clock = clock
        self._policy = policy

    def alone(self, lease: Lease) -> bool:
        """Whether a message must be in no batch with others: it may end them all, or be given up on with them."""
        message = lease.message
        return message.lost > 0 or 1 < message.attempt >= self._trigger.maximum_attempts

    def is_suspect(self, lease: Lease) -> bool:
        """Whether one more end of its environment or host would be the last."""
        return 0 < lease.message.lost == self._trigger.poison - 1

    async def invoke(self, batch: Sequence[Lease]) -> Verdict:
        verdict = Verdict()
        leases = [lease for lease in self._admitted(batch, verdict) if not self._is_spent(lease, verdict)]
        if not leases:
            return verdict
        event = self._event(leases)
        outcome = await self._function.invoke(event, max(lease.message.attempt for lease in leases))
        if outcome is None:
            verdict.again += [Again(lease, UNSERVED, counted=False) for lease in leases]
            return verdict
        verdict.event, verdict.outcome = event, outcome
        if isinstance(outcome, Success):
            self._judge(leases, outcome, verdict)
        else:
            self._judge_failure(leases, outcome, verdict)
        return verdict

    def failed(self, batch: Sequence[Lease], error: Exception) -> Verdict:
        verdict = Verdict()
        ids = ", ".join(lease.message.id for lease in batch)
        problem = tell_raised(f"{self._function.source}: {ids}", error)
        told = encode_json({"errorType": SERVICE_FAILED, "errorMessage": problem})
        for lease in batch:
            self._fail(lease, SERVICE_FAILED, told, verdict)
        return verdict

    async def settle(self, verdict: Verdict) -> Collection[str]:
        report = None
        if verdict.outcome is not None and not was_throttled(verdict.outcome):
            report = verdict.outcome.report
        if done := verdict.filtered + verdict.done:
            await self._queue.ack(done, report)
            report = None  # It is kept.
        await _together(_endings(verdict, report))
        try:
            self._tell(verdict)
        except Exception:  # It is settled: to do that once more would be no better.
            log.exception("%s: observers could not be told what came of a batch", self._function.source)
        return {again.lease.message.group for again in verdict.again if again.lease.message.group is not None}

    def _admitted(self, batch: Sequence[Lease], verdict: Verdict) -> Sequence[Lease]:
        """The messages that fit the filter."""
        if self._admits is None:
            return batch
        admitted: list[Lease] = []
        for lease in batch:
            (admitted if self._admits(lease.message) else verdict.filtered).append(lease)
        return admitted

    def _event(self, leases: Sequence[Lease]) -> Event:
        contents = [unwrapped(lease.message.body) for lease in leases]
        items = tuple(
            Item(message.id, message.attempt, message.accepted, message.group, traceparent=carried.traceparent)
            for message, carried in zip((lease.message for lease in leases), contents, strict=True)
        )
        return batch_event(
            _event_id([lease.message for lease in leases]),
            f"fnframe.{self._function.kind}.batch",
            Origin(self._function.source, items, single=self._trigger.batch_size == 1),
            [carried.data for carried in contents],
            depth=max(carried.depth for carried in contents),
        )

    def _is_spent(self, lease: Lease, verdict: Verdict) -> bool:
        """Whether a message must not be tried again; it is added to the dead then."""
        message, age = lease.message, self._trigger.maximum_age
        if message.lost >= self._trigger.poison:
            dead = Dead(lease, poison_text(message.lost), EXITED)
        elif age is not None and self._clock.time() > message.accepted + age:
            dead = Dead(lease, f"{TOO_OLD}: older than {age:g} seconds", TOO_OLD)
        else:
            return False
        verdict.dead.append(dead)
        return True

    def _failed_places(self, leases: Sequence[Lease], success: Success) -> set[int]:
        """Which messages the answer names as failed. Raises `InvalidAnswer`."""
        if not self._trigger.partial_failures:
            return set()
        return set(failures(success, lambda: {lease.message.id: place for place, lease in enumerate(leases)}))

    def _judge(self, leases: Sequence[Lease], success: Success, verdict: Verdict) -> None:
        try:
            failed = self._failed_places(leases, success)
        except InvalidAnswer as problem:
            told = "function %r: its answer fails the whole batch of %d from %s: %s"
            log.warning(told, self._function.name, len(leases), self._function.source, problem)
            error = encode_json({"errorType": INVALID, "errorMessage": str(problem)})
            for lease in leases:
                self._fail(lease, INVALID, error, verdict)
            return
        blocked: set[str] = set()
        for place, lease in enumerate(leases):
            group = lease.message.group
            if place in failed:
                comes_again = self._fail(lease, NAMED, NAMED_ERROR, verdict)
                if comes_again and group is not None:
                    blocked.add(group)
            elif group in blocked:  # What came behind one that comes again must come again behind it.
                verdict.again.append(Again(lease, 0.0, counted=False))
            else:
                verdict.done.append(lease)

    def _judge_failure(self, leases: Sequence[Lease], failure: Failure, verdict: Verdict) -> None:
        if was_throttled(failure):
            delay = self._function.throttled_for(failure, self._policy)
            verdict.again += [Again(lease, delay, counted=False) for lease in leases]
            return
        error, lost = error_of(failure), ended_environment(failure)
        if was_refused(failure):
            verdict.dead += [Dead(lease, failure.message, failure.error_type, error) for lease in leases]
            return
        for lease in leases:
            self._fail(lease, failure.error_type, error, verdict, lost=lost)

    def _fail(self, lease: Lease, error_type: str, error: bytes, verdict: Verdict, *, lost: bool = False) -> bool:
        """A message failed; whether it comes again."""
        message, age = lease.message, self._trigger.maximum_age
        delay = self._policy.delay(message.attempt)
        if message.attempt >= self._trigger.maximum_attempts:
            reason = f"RetriesExhausted after {attempts_text(message.attempt)}: {error_type}"
        elif lost and message.lost + 1 >= self._trigger.poison:
            reason = f"{poison_text(message.lost + 1)}: {error_type}"
        elif age is not None and self._clock.time() + delay > message.accepted + age:
            reason = f"{TOO_OLD} after {attempts_text(message.attempt)}: {error_type}"
        else:
            verdict.again.append(Again(lease, delay, counted=True, lost=lost))
            return True
        verdict.dead.append(Dead(lease, reason, error_type, error))
        return False

    def _tell(self, verdict: Verdict) -> None:
        if verdict.done and verdict.event is not None and verdict.outcome is not None:
            event = self._event(verdict.done) if verdict.again or verdict.dead else verdict.event
            attempt = max(lease.message.attempt for lease in verdict.done)
            self._function.tell(event, verdict.outcome, attempt)
        for dead in verdict.dead:
            message = dead.lease.message
            told = "%s: message %s lies among the dead letters: %s"
            log.warning(told, self._function.source, message.id, dead.reason)
            event = self._event([dead.lease])
            self._function.tell(event, self._failure_of(dead, event, verdict.outcome), message.attempt)

    def _failure_of(self, dead: Dead, event: Event, outcome: Outcome | None) -> Failure:
        """The failure of a message alone, where the outcome is that of a batch which succeeded otherwise, or none."""
        if isinstance(outcome, Failure):
            return outcome
        problem = decode_json(dead.error) or {"errorMessage": dead.reason}
        return self._function.failure(event, dead.error_type, problem["errorMessage"], dead.lease.message.attempt)


def _event_id(messages: Sequence[Message]) -> str:
    """The same for the same messages: what their function sends then repeats rather than multiplies."""
    if len(messages) == 1:
        return messages[0].id
    return hashlib.blake2b("\n".join(message.id for message in messages).encode(), digest_size=16).hexdigest()


def _endings(verdict: Verdict, report: Report | None) -> Iterable[Callable[[], Coroutine[Any, Any, None]]]:
    """What ends the leases of messages that are not done; the first keeps the report."""
    for again in verdict.again:
        yield partial(again.lease.release, again.delay, counted=again.counted, lost=again.lost, report=report)
        report = None
    for dead in verdict.dead:
        yield partial(dead.lease.bury, dead.reason, dead.error, report=report)
        report = None


async def _together(calls: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Await them all at once: an engine commits together what comes at once."""
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)
