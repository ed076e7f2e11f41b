"""What a destination gets: Lambda's records, each an event with its own id. What has no ARN is told by its name."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any, Literal

import msgspec

from ...engine.protocol import Record
from ...event import JSON, Event, encode_json, now
from ...function import Function
from ...outcome import Failure, Outcome, Success

NEVER_RUN = "ZeroReservedConcurrency"
"""The condition of an event whose function may not run: there is no response to tell of."""

LostCondition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]


def outcome_record(function: Function, event: Event, outcome: Outcome, condition: str, attempts: int) -> Event:
    """What became of an event: `condition` is Lambda's word for it, `attempts` how often the function ran."""
    response = {"statusCode": 200, "executedVersion": outcome.report.version}
    payload: Any
    if isinstance(outcome, Success):
        payload = _within(outcome.payload, outcome.content_type)
    else:
        response["functionError"] = "Unhandled"
        payload = outcome.payload()
    body = {
        "version": "1.0",
        "timestamp": _moment(now()),
        "requestContext": _request(function.arn or function.name, outcome.report.request_id, condition, attempts),
        "requestPayload": _within(event.data, event.datacontenttype),
    }
    if attempts and condition != NEVER_RUN:
        body |= {"responseContext": response, "responsePayload": payload}
    return Event(
        # A repeated attempt must not repeat the record; and an event's id is its source's only.
        id=f"{event.source} {event.id}:{function.name}:outcome",
        source=f"function:{function.name}",
        type="fnframe.function.outcome",
        time=now(),
        data=encode_json(body),
        subject=event.id,
        traceparent=event.traceparent,
        tracestate=event.tracestate,
        depth=event.depth + 1,
    )


def range_lost_record(
    function: Function,
    *,
    stream: str,
    told_as: tuple[str, str],
    partition: int,
    records: list[Record],
    condition: LostCondition,
    attempts: int,
    request_id: str,
    outcome: Outcome | None = None,
) -> Event:
    """Which records of a stream were given up: `records` are all of them, in their order, of one partition.

    `told_as` are the member that names the range, and the stream's ARN in it: see `StreamTrigger.told_as`.
    `outcome` is that of the last attempt, if there was one. The records themselves are not in it, as in Lambda: the
    stream has them for as long as it keeps them.
    """
    first, last = records[0], records[-1]
    member, arn = told_as
    unqualified = ":".join(function.arn.split(":")[:7])  # As Lambda writes it here, and not in the record above.
    body: dict[str, Any] = {
        "requestContext": _request(unqualified or function.name, request_id, condition, attempts),
        "version": "1.0",
        "timestamp": _moment(now()),
        member: {
            "shardId": f"shardId-{partition:012d}",
            "startSequenceNumber": str(first.position),
            "endSequenceNumber": str(last.position),
            "approximateArrivalOfFirstRecord": _moment(dt.datetime.fromtimestamp(first.accepted, dt.UTC)),
            "approximateArrivalOfLastRecord": _moment(dt.datetime.fromtimestamp(last.accepted, dt.UTC)),
            "batchSize": len(records),
            "streamArn": arn,
        },
    }
    if outcome is not None:
        body["responseContext"] = {
            "statusCode": 200,
            "executedVersion": outcome.report.version,
            "functionError": "Unhandled" if isinstance(outcome, Failure) else None,
        }
    where = f"{stream}:{partition}:{first.position}-{last.position}"
    return Event(
        id=f"{where}:{function.name}:lost",
        source=f"function:{function.name}",
        type="fnframe.stream.lost",
        time=now(),
        data=encode_json(body),
        subject=where,
        depth=1,
    )


def _request(arn: str, request_id: str, condition: str, attempts: int) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "functionArn": arn,
        "condition": condition,
        "approximateInvokeCount": attempts,
    }


def _moment(moment: dt.datetime) -> str:
    """As Lambda writes it: `2025-11-25T16:50:20.000Z`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _within(payload: bytes, content_type: str) -> Any:
    """A payload as part of a record, which is one line: JSON as itself, else text, else base64."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return payload
    if content_type == JSON:
        with suppress(msgspec.DecodeError, RecursionError):
            # In valid JSON a line break is never part of a value.
            return msgspec.json.decode(text.replace("\n", " ").replace("\r", " "), type=msgspec.Raw)
    return text
