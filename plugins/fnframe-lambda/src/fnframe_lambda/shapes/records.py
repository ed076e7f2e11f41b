"""Batches of queues and streams, as SQS, Kinesis and DynamoDB Streams send them.

Records are named as the core knows them (a message by its id, a record by its position), so that the partial failures
in a handler's answer need no translation.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from fnframe.batch_event import Item, Origin, bodies_of, origin_of

from ..moments import seconds
from ..trace import header_of

if TYPE_CHECKING:
    from fnframe import Event

    from ..names import Account

_KINDS = frozenset({"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"})
"""The types of DynamoDB's attribute values."""


def bodies(event: Event) -> list[tuple[str, bytes]]:
    """Id and data of each record of an event; the event's own where it is no batch."""
    if not event.type.endswith(".batch") or not event.origin:
        return [(event.id, event.data)]
    origin = origin_of(event)
    return [(item.name, body) for item, body in zip(origin.items, bodies_of(event, origin), strict=True)]


def messages(event: Event, account: Account) -> dict[str, Any]:
    """Messages of a queue, as SQS sends them."""
    origin = origin_of(event)
    arn = _arn("sqs", account, origin)
    pairs = zip(origin.items, bodies_of(event, origin), strict=True)
    return {"Records": [_message(item, body, arn, account) for item, body in pairs]}


def _message(item: Item, body: bytes, arn: str, account: Account) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = base64.b64encode(body).decode()
    sent = str(int(item.accepted * 1000))
    attributes = {
        "ApproximateReceiveCount": str(item.attempt),
        "SentTimestamp": sent,
        "SenderId": account.id,
        "ApproximateFirstReceiveTimestamp": sent,
    }
    if item.key is not None:
        attributes |= {"MessageGroupId": item.key, "MessageDeduplicationId": item.id}
    trace = header_of(item.traceparent)
    if trace:
        attributes["AWSTraceHeader"] = trace
    return {
        "messageId": item.id,
        "receiptHandle": item.id,
        "body": text,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": account.region,
    }


def stream_records(event: Event, account: Account) -> dict[str, Any]:
    """Records of a stream, as Kinesis sends them."""
    origin = origin_of(event)
    arn = _arn("kinesis", account, origin, "stream/")
    shard = f"shardId-{origin.partition:012d}"
    records = [
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": item.key,
                "sequenceNumber": str(item.position),
                "data": base64.b64encode(body).decode(),
                "approximateArrivalTimestamp": item.accepted,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard}:{item.position}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": f"arn:aws:iam::{account.id}:role/lambda",
            "awsRegion": account.region,
            "eventSourceARN": arn,
        }
        for item, body in zip(origin.items, bodies_of(event, origin), strict=True)
    ]
    return _windowed(event, origin, records, arn)


def changes(event: Event, account: Account) -> dict[str, Any]:
    """Records of a stream, as DynamoDB Streams sends them: each one's data tells `Keys`, `NewImage` and `OldImage`, in
    DynamoDB's JSON or in plain values; data that does not is a new image, whose key is the record's."""
    origin = origin_of(event)
    table = _arn("dynamodb", account, origin, "table/")
    arn = f"{table}/stream/{seconds(event.time)[:-1]}.000"
    pairs = zip(origin.items, bodies_of(event, origin), strict=True)
    records = [change_of(item, body, arn, account) for item, body in pairs]
    return _windowed(event, origin, records, arn)


def change_of(item: Item, body: bytes, arn: str, account: Account) -> dict[str, Any]:
    """One change of a table, of a record of a stream."""
    data = msgspec.json.decode(body)
    if not isinstance(data, dict) or "Keys" not in data:
        image = data if isinstance(data, dict) else {"value": data}
        data = {"Keys": {"id": item.key}, "NewImage": image}
    change: dict[str, Any] = {"ApproximateCreationDateTime": int(item.accepted)}
    for name in ("Keys", "NewImage", "OldImage"):
        if data.get(name) is not None:
            change[name] = {key: _attribute(value) for key, value in data[name].items()}
    kind = "REMOVE" if "NewImage" not in change else "MODIFY" if "OldImage" in change else "INSERT"
    change |= {
        "SequenceNumber": str(item.position),
        "SizeBytes": len(body),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return {
        "eventID": hashlib.md5(f"{arn} {item.position}".encode(), usedforsecurity=False).hexdigest(),
        "eventName": kind,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": account.region,
        "dynamodb": change,
        "eventSourceARN": arn,
    }


def _attribute(value: Any) -> dict[str, Any]:
    """A plain value as one of DynamoDB's."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _KINDS:
        return value
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [_attribute(each) for each in value]}
    if isinstance(value, dict):
        return {"M": {key: _attribute(each) for key, each in value.items()}}
    return {"S": str(value)}


def _windowed(event: Event, origin: Origin, records: list[dict[str, Any]], arn: str) -> dict[str, Any]:
    """The records, with what Lambda adds where there is a tumbling window."""
    if origin.span is None:
        return {"Records": records}
    whole: dict[str, Any] = event.value()
    return whole | {"Records": records, "eventSourceARN": arn}


def _arn(service: str, account: Account, origin: Origin, kind: str = "") -> str:
    return f"arn:aws:{service}:{account.region}:{account.id}:{kind}{origin.source.partition(':')[2]}"
