"""Records for URLs. They wait in a queue of the engine, so that a server that is down holds up no function."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from ...engine.protocol import Message
from ...event import Event, encode_json
from ..ending import attempts_text
from ..queues.batcher import Batcher
from ..queues.poller import Poller
from .webhook import Refused, Unavailable, new_client, post

if TYPE_CHECKING:
    import httpx2

    from ...clock import Clock
    from ...engine.protocol import Engine, Lease
    from ..queues.leases import Leases
    from ..retry import RetryPolicy

log = logging.getLogger("fnframe.destinations")

OUTBOX = "fnframe:outbox"
"""The queue's name."""

CONCURRENCY = 16
"""Records on their way at once."""

LONGEST = 21_600.0
"""Seconds for which a record is tried; Lambda's greatest age of an event."""


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """What the queue holds: a record, and where it goes."""

    url: str
    record: Event


_encode = msgspec.msgpack.Encoder().encode
decode_letter = msgspec.msgpack.Decoder(Letter).decode


async def put_letter(engine: Engine, url: str, record: Event) -> None:
    """Let a record wait for its way to a URL. Raises `QueueFull`."""
    message = Message(f"{record.source} {record.id}", _encode(Letter(url, record)))
    await engine.queue(OUTBOX).send([message])


class Sent(msgspec.Struct):
    """A record after an attempt: why it was not taken, and after how many seconds it comes again, if it does."""

    lease: Lease
    problem: str | None = None
    delay: float | None = None


class Outbox:
    """Posts what waits; see `service.Works` and `poller.Handler`."""

    def __init__(
        self, engine: Engine, leases: Leases, clock: Clock, policy: RetryPolicy, changed: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._client: httpx2.AsyncClient | None = None
        batcher = Batcher(clock)
        self._poller = Poller(
            engine.queue(OUTBOX), self, batcher, leases, clock, concurrency=CONCURRENCY, changed=changed
        )

    async def prepare(self) -> None:
        """Nothing: what comes waits in the queue."""

    async def run(self) -> None:
        """Post until `stop` is called and what is on its way has arrived; cancelled, give back what has not."""
        async with await anyio.to_thread.run_sync(new_client, CONCURRENCY) as self._client:
            await self._poller.run()

    def stop(self) -> None:
        """Send no more."""
        self._poller.stop()

    async def is_idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        return await self._poller.is_idle()

    async def invoke(self, batch: Sequence[Lease]) -> Sent:
        """Post a record."""
        (lease,) = batch
        assert self._client is not None
        try:
            letter = decode_letter(lease.message.body)
            await post(self._client, letter.url, letter.record)
        except msgspec.DecodeError as error:
            return Sent(lease, f"it is no record: {error}")
        except Refused as error:
            return Sent(lease, str(error))
        except Unavailable as error:
            return self._unavailable(lease, error)
        return Sent(lease)

    def failed(self, batch: Sequence[Lease], error: Exception) -> Sent:
        """Try again, as where the server is down. Neither text nor stack is told: they may quote the URL."""
        (lease,) = batch
        return self._unavailable(lease, Unavailable(f"posting it raised {type(error).__name__}"))

    def _unavailable(self, lease: Lease, error: Unavailable) -> Sent:
        message = lease.message
        delay = max(self._policy.delay(message.attempt), error.retry_after)
        if self._clock.time() + delay <= message.accepted + LONGEST:
            return Sent(lease, str(error), delay)
        return Sent(lease, f"{error}; it was tried for {LONGEST / 3600:g} hours")

    async def settle(self, sent: Sent) -> Sequence[str]:
        """End the lease."""
        lease, message = sent.lease, sent.lease.message
        if sent.problem is None:
            await lease.ack()
        elif sent.delay is not None:
            told = "the record %s was not taken: %s; trying again in %.1f s"
            log.warning(told, message.id, sent.problem, sent.delay)
            await lease.release(sent.delay, counted=True)
        else:
            told = "the record %s was given up on after %s and lies among the dead letters: %s"
            log.error(told, message.id, attempts_text(message.attempt), sent.problem)
            error = encode_json({"errorType": "DestinationFailed", "errorMessage": sent.problem})
            await lease.bury(sent.problem, error)
        return ()
