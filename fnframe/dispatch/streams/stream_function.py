"""Streams that feed a function: how records become an invocation, and what is told when they are given up on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...batch_event import Item, Origin, batch_event, encode_origin
from ...destination import masked
from ...event import Event, now
from ...outcome import SERVICE_FAILED, Failure, Outcome
from ..carried import unwrapped
from ..ending import tell_raised
from ..polled_function import PolledFunction
from ..retry import put_record
from ..settled.records import LostCondition, range_lost_record

if TYPE_CHECKING:
    from ...batch_event import Span
    from ...clock import Clock
    from ...engine.protocol import Record
    from ...polled import StreamTrigger
    from ...trigger import Mapping
    from ..dispatcher import Dispatcher, Observer
    from ..retry import RetryPolicy
    from ..settled.destinations import Destinations

log = logging.getLogger("fnframe.poller")


class StreamFunction(PolledFunction):
    """How records become an invocation of the function."""

    def __init__(
        self, mapping: Mapping, trigger: StreamTrigger, stream: str, dispatcher: Dispatcher, settled: Observer,
        destinations: Destinations, clock: Clock, policy: RetryPolicy,
    ) -> None:  # fmt: skip
        super().__init__(mapping, stream, dispatcher, settled)
        self.trigger = trigger
        self.policy = policy
        self._stream = stream
        self._destinations = destinations
        self._clock = clock

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
            f"fnframe.{self.kind}.batch",
            Origin(self.source, items, partition, single=single, span=span),
            [carried.data for carried in contents],
            depth=max((carried.depth for carried in contents), default=0),
            state=state,
        )

    def bare_event(self, partition: int, records: Sequence[Record]) -> Event:
        """An event that names the records, where none can be made of them."""
        id_ = f"{self.source}:{partition}:{_named(records, None)}"
        items = tuple(Item(record.id, 1, record.accepted, record.key, record.position) for record in records)
        origin = encode_origin(Origin(self.source, items, partition))
        return Event(id=id_, source=self.source, type=f"fnframe.{self.kind}.batch", time=now(), origin=origin)

    def raised(self, event: Event, error: Exception, attempt: int) -> Failure:
        """The failure of an attempt that raised, which no function does; it is told in the log with its stack."""
        return self.failure(event, SERVICE_FAILED, tell_raised(event.id, error), attempt)

    async def give_up(
        self, partition: int, records: Sequence[Record], condition: LostCondition, event: Event, attempts: int,
        outcome: Outcome | None = None, failure: Failure | None = None,
    ) -> None:  # fmt: skip
        """Tell which records are passed over: to the destination, if there is one, and in any case in the log.

        `outcome` is that of the last attempt, if there was one, and `failure` what it means for these records.
        """
        failure = failure or self.failure(event, condition, "too old", attempts)
        destination, shown = self.trigger.on_failure, None
        if records and destination is not None:
            record = range_lost_record(
                self.configuration,
                stream=self._stream,
                told_as=self.trigger.told_as(self._stream),
                partition=partition,
                records=list(records),
                condition=condition,
                attempts=attempts,
                request_id=failure.report.request_id,
                outcome=outcome,
            )
            what = f"the record of {record.subject}, which function {self.name!r} gives up on,"
            put = partial(self._destinations.send, destination, record)
            if await put_record(put, what, destination, "it is lost", self._clock, self.policy):
                shown = masked(destination)
        where = f"told to {shown}" if shown is not None else "told nowhere else"
        told = "%s: function %r gives up on %s of partition %d: %s (%s); %s"
        log.error(told, self.source, self.name, _named(records, None), partition, condition, failure.message, where)
        self.tell(event, failure, attempts, shown)


def _named(records: Sequence[Record], span: Span | None) -> str:
    if records and (span is None or not span.is_final):
        first, last = records[0].position, records[-1].position
        return str(first) if first == last else f"{first}-{last}"
    behind = f":{records[-1].position}" if records else ""
    return f"window:{span.start:.0f}{behind}" if span is not None else "nothing"
