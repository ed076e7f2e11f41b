"""Streams that feed a function: how records become an invocation, and what is told when they are given up on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..batch import Item, Origin, batch_event
from ..destination import masked
from ..errors import FunctionNotFound
from ..event import Event, new_id
from ..outcome import Failure, Outcome
from .carried import unwrapped
from .records import LostCondition, range_lost_record
from .retry import put_record

if TYPE_CHECKING:
    from ..batch import Span
    from ..clock import Clock
    from ..engine.protocol import Record
    from ..polled import StreamTrigger
    from .destinations import Destinations
    from .dispatcher import Dispatcher, Observer
    from .retry import RetryPolicy

log = logging.getLogger("fnframe.poller")


class StreamFunction:
    """The function that a stream feeds. `source` names the stream in events."""

    def __init__(
        self, function: str, stream: str, trigger: StreamTrigger, kind: str, dispatcher: Dispatcher,
        destinations: Destinations, clock: Clock, policy: RetryPolicy, settled: Observer,
    ) -> None:  # fmt: skip
        self.name = function
        self._stream = stream
        self.source = f"{kind}:{stream}"
        self.trigger = trigger
        self._kind = kind
        self._dispatcher = dispatcher
        self._destinations = destinations
        self._clock = clock
        self.policy = policy
        self._settled = settled

    @property
    def largest(self) -> int:
        """Bytes that an event may have."""
        return self._dispatcher.limits.request_payload

    def event(self, partition: int, records: Sequence[Record], attempt: int, span: Span | None, state: bytes) -> Event:
        """The event of a batch; the same records make one of the same id."""
        contents = [unwrapped(record.body) for record in records]
        items = tuple(
            Item(record.id, attempt, record.accepted, record.key, record.position, traceparent=carried.traceparent)
            for record, carried in zip(records, contents, strict=True)
        )
        single = self.trigger.batch_size == 1 and span is None
        return batch_event(
            f"{self.source}:{partition}:{_named(records, span)}",
            f"fnframe.{self._kind}.batch",
            Origin(self.source, items, partition, single=single, span=span),
            [carried.data for carried in contents],
            depth=max((carried.depth for carried in contents), default=0),
            state=state,
        )

    async def invoke(self, event: Event, attempt: int) -> Outcome | None:
        """Run the function; None if a reload took it away just now."""
        try:
            return await self._dispatcher.invoke(
                self.name, event, new_id(), trigger=self._kind, invocation_type="polled", attempt=attempt
            )
        except FunctionNotFound:
            return None

    def succeeded(self, event: Event, outcome: Outcome, attempt: int) -> None:
        """Tell observers of a batch, or of that part of one, which is done."""
        self._tell(event, outcome, attempt, None)

    async def give_up(
        self, partition: int, records: Sequence[Record], condition: LostCondition, event: Event, attempts: int,
        outcome: Outcome | None = None, failure: Failure | None = None,
    ) -> None:  # fmt: skip
        """Tell which records are passed over: to the destination, if there is one, and in any case in the log.

        `outcome` is that of the last attempt, if there was one, and `failure` what it means for these records.
        """
        failure = failure or self._dispatcher.failure(
            self.name, event, new_id(), condition, "too old", trigger=self._kind, invocation_type="polled",
            attempt=attempts,
        )  # fmt: skip
        destination = self.trigger.on_failure
        shown = None if destination is None else masked(destination)
        if records and destination is not None:
            record = range_lost_record(
                self._dispatcher.function(self.name),
                stream=self._stream,
                partition=partition,
                records=list(records),
                condition=condition,
                attempts=attempts,
                request_id=failure.report.request_id,
                outcome=outcome,
            )
            what = f"the record of {record.subject}, which function {self.name!r} gives up on,"
            put = partial(self._destinations.send, destination, record)
            if not await put_record(put, what, destination, "it is lost", self._clock, self.policy):
                shown = None
        where = f"told to {shown}" if shown is not None else "told nowhere else: there is no on_failure"
        told = "%s: function %r gives up on %s of partition %d: %s (%s); %s"
        log.error(told, self.source, self.name, _named(records, None), partition, condition, failure.message, where)
        self._tell(event, failure, attempts, shown)

    def _tell(self, event: Event, outcome: Any, attempts: int, destination: str | None) -> None:
        if self._settled is not None and self._dispatcher.serves(self.name):
            self._settled(self._dispatcher.function(self.name), event, outcome, attempts, destination)


def _named(records: Sequence[Record], span: Span | None) -> str:
    if records and (span is None or not span.is_final):
        first, last = records[0].position, records[-1].position
        return str(first) if first == last else f"{first}-{last}"
    behind = f":{records[-1].position}" if records else ""
    return f"window:{span.start:.0f}{behind}" if span is not None else "nothing"
