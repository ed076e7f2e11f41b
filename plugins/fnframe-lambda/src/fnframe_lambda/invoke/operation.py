"""Invoke, in its three types and its two older and newer forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fnframe import Event, Failure, FunctionNotFound, QueueFull, Success
from fnframe.event import encode_json, now
from fnframe.outcome import REQUEST_TOO_LARGE as TOO_LARGE
from fnframe.outcome import THROTTLED

from ..origin import EVENT_TYPE, Origin, encode_origin
from ..resolve import missing, named
from ..trace import header_of, new_traceparent, traceparent_of
from ..wire import Answer, ApiError, too_large, violated
from . import eventstream, tail
from .payload import client_context, read_payload, refuse_tenant

if TYPE_CHECKING:
    from fnframe import Outcome

    from ..request import Request
    from ..service import LambdaService
    from ..wire import Headers

SYNCHRONOUS = "RequestResponse"
TYPES = ("Event", SYNCHRONOUS, "DryRun")
STREAMING_TYPES = (SYNCHRONOUS, "DryRun")
LOG_TYPES = ("None", "Tail")
_REASON = re.compile(r"\((\w+LimitExceeded)")


class Called(NamedTuple):
    """A checked call: which function is to run, as which version, and on what."""

    function: str
    version: str
    json_log: bool
    event: Event
    trace: str


async def invoke(service: LambdaService, request: Request, function: str) -> Answer:
    """`POST /2015-03-31/functions/{FunctionName}/invocations`. Raises `ApiError`."""
    kind = _one_of(request, b"x-amz-invocation-type", "invocationType", TYPES, SYNCHRONOUS)
    wants_log = _one_of(request, b"x-amz-log-type", "logType", LOG_TYPES, "None") == "Tail"
    called = await _called(service, request, function, kind)
    if kind == "DryRun":
        return Answer(204)
    trace = [(b"x-amzn-trace-id", f"{called.trace};Lineage=1:{request.id[:8]}:0".encode())]
    if kind == "Event":
        await _enqueue(service, called)
        return Answer(202, b"", trace)
    if not wants_log:
        outcome = await _run(service, called)
        return _answer_to(outcome, called.version, trace)
    tail.want(request.id)
    try:
        outcome = await _run(service, called)
        answer = _answer_to(outcome, called.version, trace)
        log = tail.take(outcome, json=called.json_log)
        return answer._replace(headers=[*answer.headers, (b"x-amz-log-result", log)])
    finally:
        tail.drop(request.id)


async def invoke_async(service: LambdaService, request: Request, function: str) -> Answer:
    """The deprecated `POST /2014-11-13/functions/{FunctionName}/invoke-async`. Raises `ApiError`."""
    await _enqueue(service, await _called(service, request, function, "Event"))
    return Answer(202, encode_json({"Status": 202}))


async def invoke_streaming(service: LambdaService, request: Request, function: str) -> Answer:
    """`POST /2021-11-15/functions/{FunctionName}/response-streaming-invocations`. Raises `ApiError`.

    The function's result is sent as one chunk, once it is whole.
    """
    kind = _one_of(request, b"x-amz-invocation-type", "invocationType", STREAMING_TYPES, SYNCHRONOUS)
    wants_log = _one_of(request, b"x-amz-log-type", "logType", LOG_TYPES, "None") == "Tail"
    called = await _called(service, request, function, kind)
    if kind == "DryRun":
        return Answer(204)
    if wants_log:
        tail.want(request.id)
    try:
        outcome = await _run(service, called)
        answer = _answer_to(outcome, called.version, [])
        complete: dict[str, str] = {}
        frames = b""
        if isinstance(outcome, Failure):
            complete = {"ErrorCode": str(outcome.payload()["errorType"]), "ErrorDetails": answer.body.decode()}
        else:
            frames = eventstream.frame("PayloadChunk", "application/octet-stream", answer.body)
        if wants_log:
            complete["LogResult"] = tail.take(outcome, json=called.json_log).decode()
    finally:
        tail.drop(request.id)
    frames += eventstream.frame("InvokeComplete", "application/json", encode_json(complete))
    version = [(b"x-amz-executed-version", called.version.encode())]
    return Answer(200, frames, version, eventstream.CONTENT_TYPE)


def _one_of(request: Request, header: bytes, member: str, known: tuple[str, ...], absent: str) -> str:
    """What a header says; `absent` where it was not sent. Raises `ApiError` for what is not known."""
    value = request.header(header) or absent
    if value not in known:
        raise violated((value, member, f"Member must satisfy enum value set: [{', '.join(known)}]"))
    return value


async def _called(service: LambdaService, request: Request, function: str, kind: str) -> Called:
    """Check a call in Lambda's order: names, the function, the payload's size, its JSON."""
    asked = request.query().get("Qualifier") if request.query_string else None
    name, qualifier = named(function, asked, service.account)
    target = service.target(name, qualifier, as_event=kind == "Event")
    refuse_tenant(request)
    limits = service.running.manifest.limits
    payload = await read_payload(request, limits.asynchronous_payload if kind == "Event" else limits.request_payload)
    context = client_context(request) if kind != "Event" else ""
    sent = request.header(b"x-amzn-trace-id")
    traceparent = (traceparent_of(sent) if sent else None) or new_traceparent()
    origin = Origin(service.account.function_arn(name, qualifier), context)
    event = Event(
        id=request.id,
        source="fnframe:lambda",
        type=EVENT_TYPE,
        time=now(),
        data=payload,
        traceparent=traceparent,
        origin=encode_origin(origin),
    )
    return Called(target.function, target.version, target.json_log, event, header_of(traceparent) or "")


async def _run(service: LambdaService, called: Called) -> Outcome:
    try:
        outcome = await service.mapping(called.function).invoke(called.event, fresh=True)
    except FunctionNotFound:  # A reload took it away just now.
        raise missing(service.account, called.function) from None
    if isinstance(outcome, Failure) and outcome.kind == "rejected":
        if outcome.error_type == THROTTLED:
            raise throttled(outcome.message)
        if outcome.error_type == TOO_LARGE:
            raise too_large(service.running.manifest.limits.request_payload)
    return outcome


async def _enqueue(service: LambdaService, called: Called) -> None:
    try:
        await service.mapping(called.function).enqueue(called.event, fresh=True)
    except FunctionNotFound:
        raise missing(service.account, called.function) from None
    except QueueFull as error:
        raise throttled(str(error), "CallerRateLimitExceeded") from None


def throttled(message: str, reason: str | None = None) -> ApiError:
    """`TooManyRequestsException`, with the reason that the dispatcher gave."""
    if reason is None:
        found = _REASON.search(message)
        reason = found[1] if found else "ConcurrentInvocationLimitExceeded"
    return ApiError(429, "TooManyRequestsException", "Rate Exceeded.", members={"Reason": reason})


def _answer_to(outcome: Outcome, version: str, headers: Headers) -> Answer:
    fields = [(b"x-amz-executed-version", version.encode()), *headers]
    if isinstance(outcome, Success):
        return Answer(200, outcome.payload, fields)
    body = outcome.body or encode_json(outcome.payload())
    return Answer(200, body, [(b"x-amz-function-error", b"Unhandled"), *fields])
