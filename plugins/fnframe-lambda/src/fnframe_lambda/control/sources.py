"""Triggers of event source mappings: queues and streams, whose filters see records as AWS's pattern language does."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec

from fnframe import QueueTrigger, StreamTrigger
from fnframe.batch_event import Item
from fnframe.filter.patterns import OR, compile_patterns

from ..names import Account
from ..shapes.records import change_of
from .arns import source_of

if TYPE_CHECKING:
    from fnframe import Event

    from .arns import Source
    from .records import EventSource

RETENTION = 345_600.0
"""Seconds for which SQS keeps a message unless told otherwise."""
ATTEMPTS = 1_000
"""There is no end of retries in a mapping of a queue: the queue decides. This is the most that one takes."""


class FromQueue(QueueTrigger, frozen=True, tag="queue"):
    """A queue, as SQS. `mapping` is the UUID."""

    name: str
    mapping: str

    def document(self, event: Event, names: Collection[str]) -> dict[str, Any]:
        """The body is under `data` here; see `_translated`."""
        told = super().document(event, names)
        return told | {"messageId": event.id, "eventSource": "aws:sqs", "attributes": {}, "messageAttributes": {}}


class FromStream(StreamTrigger, frozen=True, tag="stream"):
    """A stream, as Kinesis. `arn` is the stream's."""

    name: str
    mapping: str
    arn: str

    def told_as(self, stream: str) -> tuple[str, str]:
        return "KinesisBatchInfo", self.arn

    def document(self, event: Event, names: Collection[str]) -> dict[str, Any]:
        key = event.extensions.get("key")
        told = super().document(event, names)
        return told | {"partitionKey": key, "sequenceNumber": event.id, "eventSource": "aws:kinesis"}


class FromTable(StreamTrigger, frozen=True, tag="dynamodb"):
    """A stream whose records are changes of a table, as DynamoDB Streams. `arn` is the stream's."""

    name: str
    mapping: str
    arn: str

    def told_as(self, stream: str) -> tuple[str, str]:
        return "DDBStreamBatchInfo", self.arn

    def document(self, event: Event, names: Collection[str]) -> dict[str, Any]:
        key = event.extensions.get("key")
        item = Item(event.id, 1, event.time.timestamp(), None if key is None else str(key))
        return change_of(item, event.data, "", Account("", ""))


def trigger_of(mapping: EventSource) -> FromQueue | FromStream | FromTable:
    """What polls for a mapping."""
    source = source_of(mapping.source)
    assert source is not None
    polled: dict[str, Any] = {
        "name": source.name,
        "mapping": mapping.uuid,
        "batch_size": mapping.batch_size,
        "window": float(mapping.window),
        "filter": checked_filters(mapping, source),
        "partial_failures": "ReportBatchItemFailures" in mapping.responses,
    }
    if source.is_queue:
        return FromQueue(
            maximum_attempts=ATTEMPTS, maximum_age=RETENTION, maximum_concurrency=mapping.concurrency, **polled
        )
    starts: dict[str, str | float] = {"TRIM_HORIZON": "earliest", "LATEST": "latest"}
    type_ = FromStream if source.kind == "kinesis" else FromTable
    return type_(
        arn=mapping.source,
        start=starts.get(mapping.start, mapping.start_at or 0.0),
        lanes=mapping.lanes,
        bisect=mapping.bisect,
        maximum_attempts=None if mapping.retries < 0 else mapping.retries + 1,
        maximum_age=None if mapping.maximum_age < 0 else float(mapping.maximum_age),
        tumbling_window=float(mapping.tumbling_window),
        on_failure=_queue(mapping.on_failure),
        **polled,
    )


def checked_filters(mapping: EventSource, source: Source) -> list[dict[str, Any]] | None:
    """The patterns of a mapping, as its trigger takes them; None where it has none.

    Raises `InvalidPattern`, `msgspec.DecodeError` or `TypeError` for what is none.
    """
    if not mapping.filters:
        return None
    patterns = [msgspec.json.decode(text, type=dict[str, Any]) for text in mapping.filters]
    if source.is_queue:
        patterns = [_translated(pattern) for pattern in patterns]
    compile_patterns(patterns)
    return patterns


def _translated(pattern: dict[str, Any]) -> dict[str, Any]:
    """A pattern of SQS, whose payload is called `body`, with the name that it has in fnframe's events."""
    translated: dict[str, Any] = {}
    for key, value in pattern.items():
        first, dot, rest = key.partition(".")
        if key == OR and isinstance(value, list):
            translated[key] = [_translated(each) if isinstance(each, dict) else each for each in value]
        else:
            translated[f"{'data' if first == 'body' else first}{dot}{rest}"] = value
    return translated


def _queue(arn: str | None) -> str | None:
    source = None if arn is None else source_of(arn)
    return None if source is None else f"queue:{source.name}"
