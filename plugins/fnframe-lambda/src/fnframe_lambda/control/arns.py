"""ARNs of what functions read from and send to, and what they name here: queues, streams and functions of the app."""

from __future__ import annotations

from typing import Literal, NamedTuple

from fnframe.sending import check_name

from ..names import LATEST


class Source(NamedTuple):
    """A queue, or a stream as Kinesis or DynamoDB Streams show it."""

    kind: Literal["sqs", "kinesis", "dynamodb"]
    name: str

    @property
    def is_queue(self) -> bool:
        return self.kind == "sqs"

    @property
    def is_fifo(self) -> bool:
        """By its name, as in SQS; here a message with a group is in order in any queue."""
        return self.is_queue and self.name.endswith(".fifo")


def source_of(arn: str) -> Source | None:
    """What an event source's ARN names; None for what is not here.

    `arn:aws:sqs:REGION:ACCOUNT:NAME`, `arn:aws:kinesis:...:stream/NAME`, `arn:aws:dynamodb:...:table/NAME/stream/DATE`.
    """
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return None
    service, resource = parts[2], parts[5]
    if service == "sqs":
        return _named("sqs", resource)
    kind, _, name = resource.partition("/")
    if service == "kinesis" and kind == "stream":
        return _named("kinesis", name)
    if service == "dynamodb" and kind == "table":
        return _named("dynamodb", name.partition("/")[0])
    return None


def destination_of(arn: str) -> str | None:
    """Where records for an ARN go, in fnframe's words; None for what is not here.

    Of another function, `name:qualifier` is that qualifier's; the caller finds out under what name it is served.
    """
    parts = arn.split(":", 6)
    if len(parts) < 6 or parts[0] != "arn":
        return None
    if parts[2] == "sqs" and len(parts) == 6:
        source = _named("sqs", parts[5])
        return None if source is None else f"queue:{source.name}"
    if parts[2] == "lambda" and parts[5] == "function" and len(parts) == 7:
        return f"function:{parts[6].removesuffix(f':{LATEST}')}"
    return None


def _named(kind: Literal["sqs", "kinesis", "dynamodb"], name: str) -> Source | None:
    try:
        check_name(name)
    except ValueError:
        return None
    return Source(kind, name)
