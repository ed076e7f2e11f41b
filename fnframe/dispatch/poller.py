"""Takes events from a queue, runs their function, and decides what a failure means: again, or the end."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable

import anyio
import msgspec

from ..clock import Clock
from ..engine.protocol import Lease, Queue
from ..errors import FunctionNotFound, PayloadTooLarge, RecursionStopped
from ..event import Event
from ..function import Function
from ..outcome import THROTTLED, Failure, Outcome, Success
from .destinations import Destinations
from .dispatcher import Dispatcher, Observer

log = logging.getLogger("fnframe.poller")


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What the queue of a function holds: the event, and what must be the same for each attempt."""

    event: Event
    request_id: str
    trigger: str


encode_envelope = msgspec.msgpack.Encoder().encode
_decode_envelope = msgspec.msgpack.Decoder(Envelope).decode


class RetryPolicy(msgspec.Struct, frozen=True):
    """Full-jitter backoff: a random wait below `base * 2**n` seconds, at most `cap`."""

    base: float = 0.2
    cap: float = 60.0

    def delay(self, attempt: int) -> float:
        """Seconds to wait after this attempt failed."""
        return random.uniform(0, min(self.cap, self.base * 2 ** min(attempt - 1, 32)))  # noqa: S311  no secret


class Poller:
    """Serves the queue of one function's asynchronous invocations.

    `concurrency` bounds how many of them are taken out at once; `lease` is how long an event is lent before it must be
    asked for again, in seconds.
    """

    def __init__(
        self,
        name: str,
        queue: Queue,
        dispatcher: Dispatcher,
        destinations: Destinations,
        clock: Clock,
        *,
        policy: RetryPolicy,
        concurrency: int,
        settled: Observer,
        changed: Callable[[], None],
        lease: float = 30.0,
    ) -> None:
        self._name = name
        self._queue = queue
        self._dispatcher = dispatcher
        self._destinations = destinations
        self._clock = clock
        self._policy = policy
        self._limiter = anyio.Semaphore(concurrency)
        self._settled = settled
        self._changed = changed
        self._lease = lease
        self._held: set[Lease] = set()

    async def run(self) -> None:
        """Work until cancelled. What was not done then is given back to the queue."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_leases)
            while True:
                await self._limiter.acquire()
                for lease in await self._queue.receive(1, self._lease):
                    tasks.start_soon(self._handle, lease)

    async def _handle(self, lease: Lease) -> None:
        self._held.add(lease)
        try:
            async with lease:
                await self._attempt(lease)
        finally:
            self._held.discard(lease)
            self._limiter.release()
            self._changed()

    async def _keep_leases(self) -> None:
        """Extend leases while their functions run: never a fixed visibility timeout."""
        while True:
            await self._clock.wait(anyio.Event(), self._clock.monotonic() + self._lease / 3)
            for lease in list(self._held):
                await lease.extend(self._lease)

    async def _attempt(self, lease: Lease) -> None:
        message = lease.message
        try:
            envelope = _decode_envelope(message.body)
        except msgspec.DecodeError as error:
            log.error("function %r: message %s is no event (%s); it is dropped", self._name, message.id, error)  # noqa: TRY400
            return await lease.ack()
        try:
            outcome = await self._dispatcher.invoke(
                self._name,
                envelope.event,
                envelope.request_id,
                trigger=envelope.trigger,
                invocation_type="asynchronous",
                attempt=message.attempt,
            )
            function = self._dispatcher.function(self._name)
        except FunctionNotFound:
            return None  # A reload took it away just now; the lease gives the event back.
        if isinstance(outcome, Success):
            return await self._settle(lease, envelope, function, outcome, "Success")
        throttled = outcome.kind == "rejected" and outcome.error_type == THROTTLED
        if not throttled and message.attempt > function.retries:
            return await self._settle(lease, envelope, function, outcome, "RetriesExhausted")
        delay = self._policy.delay(message.attempt)
        if throttled:
            delay = max(delay, outcome.retry_after or 0.0)
        if self._clock.time() + delay > message.accepted + function.maximum_age:
            return await self._settle(lease, envelope, function, outcome, "EventAgeExceeded")
        await lease.release(delay, counted=not throttled)
        return None

    async def _put(
        self, destination: str, function: Function, event: Event, outcome: Outcome, condition: str, attempts: int
    ) -> bool:
        """Put the record to its destination, if need be again and again; False if it will never be taken there."""
        told = "function %r: the record of event %s could not be put to %s (%s: %s); %s"
        for attempt in itertools.count(1):
            try:
                await self._destinations.put(destination, function, event, outcome, condition, attempts)
            except (FunctionNotFound, PayloadTooLarge, RecursionStopped) as error:
                log.error(told, self._name, event.id, destination, type(error).__name__, error, "it is lost")  # noqa: TRY400
                return False
            except Exception as error:
                delay = self._policy.delay(attempt)
                again = f"trying again in {delay:.1f} s"
                log.warning(told, self._name, event.id, destination, type(error).__name__, error, again)
                await self._clock.wait(anyio.Event(), self._clock.monotonic() + delay)
            else:
                return True
        raise AssertionError

    async def _settle(
        self, lease: Lease, envelope: Envelope, function: Function, outcome: Outcome, condition: str
    ) -> None:
        attempts = lease.message.attempt
        destination = function.on_failure if isinstance(outcome, Failure) else function.on_success
        if destination is not None and not await self._put(
            destination, function, envelope.event, outcome, condition, attempts
        ):
            destination = None
        await lease.ack(outcome.report)
        if self._settled is not None:
            self._settled(function, envelope.event, outcome, attempts, destination)
