"""Where the outcome of an asynchronous invocation goes: Lambda's destination record, to a function or a file."""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from ..event import JSON, Event, encode_json, now
from ..function import Function
from ..outcome import Outcome, Success

Enqueue = Callable[[str, Event], Awaitable[object]]


class Destinations:
    """`function:NAME` enqueues the record as an event of that function; `file:PATH` appends it as a line of JSON.

    `directory` is where relative paths count from: the app's folder.
    """

    def __init__(self, directory: Path, enqueue: Enqueue) -> None:
        self._directory = directory
        self._enqueue = enqueue

    async def put(
        self,
        destination: str,
        function: Function,
        event: Event,
        outcome: Outcome,
        condition: str,
        attempts: int,
    ) -> None:
        """Put the record there. Raises `OSError` or `FnframeError` when it could not be put."""
        record = encode_json(_record(function, event, outcome, condition, attempts))
        scheme, _, target = destination.partition(":")
        if scheme == "file":
            await anyio.to_thread.run_sync(_append, self._directory / target, record)
        else:
            await self._enqueue(target, self._event(function, event, record))

    def _event(self, function: Function, event: Event, record: bytes) -> Event:
        return Event(
            id=f"{event.id}:{function.name}:outcome",  # A repeated attempt must not repeat the record.
            source=f"function:{function.name}",
            type="fnframe.function.outcome",
            time=now(),
            data=record,
            subject=event.id,
            traceparent=event.traceparent,
            tracestate=event.tracestate,
            depth=event.depth + 1,
        )


def _record(function: Function, event: Event, outcome: Outcome, condition: str, attempts: int) -> dict[str, Any]:
    """Lambda's destination record, with names in place of ARNs."""
    response: dict[str, Any] = {"statusCode": 200, "executedVersion": outcome.report.version}
    payload: Any
    if isinstance(outcome, Success):
        payload = _within(outcome.payload, outcome.content_type)
    else:
        response["functionError"] = "Unhandled"
        payload = outcome.payload()
    return {
        "version": "1.0",
        "timestamp": dt.datetime.now(dt.UTC),
        "requestContext": {
            "requestId": outcome.report.request_id,
            "functionArn": function.name,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": _within(event.data, event.datacontenttype),
        "responseContext": response,
        "responsePayload": payload,
    }


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


def _append(path: Path, line: bytes) -> None:
    """Append the whole line or nothing, whatever else appends there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        try:
            written = file.write(line + b"\n")
            if written != len(line) + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
