"""Event invoke configurations: what is done with asynchronous events of a function, a version or an alias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..names import LATEST
from ..wire import Answer, invalid, json_answer, not_found
from . import bodies
from .checks import LARGEST_BODY, between, refuse
from .paging import page
from .records import OnEvents, epoch

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane
    from .records import Record


async def put(plane: Plane, request: Request, function: str) -> Answer:
    """`PUT /2019-09-25/functions/{FunctionName}/event-invoke-config`: in place of what was there."""
    return await _set(plane, request, function, anew=True)


async def update(plane: Plane, request: Request, function: str) -> Answer:
    """`POST /2019-09-25/functions/{FunctionName}/event-invoke-config`: what is not named stays."""
    return await _set(plane, request, function, anew=False)


async def get(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2019-09-25/functions/{FunctionName}/event-invoke-config`"""
    record, qualifier = _qualified(plane, request, function)
    return json_answer(200, _view(plane, record.name, qualifier, _found(plane, record, qualifier)))


async def delete(plane: Plane, request: Request, function: str) -> Answer:
    """`DELETE /2019-09-25/functions/{FunctionName}/event-invoke-config`"""
    async with plane.changing:
        record, qualifier = _qualified(plane, request, function)
        _found(plane, record, qualifier)
        left = {key: each for key, each in record.on_events.items() if key != qualifier}
        await plane.keep(replace(record, on_events=left))
    return Answer(204)


async def list_(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2019-09-25/functions/{FunctionName}/event-invoke-config/list`"""
    name = plane.named(function).name
    if name not in plane.store.functions and plane.declared(name) is None:
        raise not_found("The function doesn't exist.")
    record = plane.record(name, looking=True)

    def view(qualifier: str) -> dict[str, Any]:
        return _view(plane, name, qualifier, record.on_events[qualifier])

    return page(request, "FunctionEventInvokeConfigs", sorted(record.on_events), str, view, most=50)


async def _set(plane: Plane, request: Request, function: str, *, anew: bool) -> Answer:
    body = await request.members(LARGEST_BODY, bodies.EventInvokeConfig, "PutFunctionEventInvokeConfig")
    if body == bodies.EventInvokeConfig():
        raise invalid("You must specify at least one of error handling or destination setting.")
    refuse([
        *between(body.maximum_retry_attempts, "maximumRetryAttempts", 0, 2),
        *between(body.maximum_event_age_in_seconds, "maximumEventAgeInSeconds", 60, 21_600),
    ])  # fmt: skip
    async with plane.changing:
        record, qualifier = _qualified(plane, request, function)
        before = OnEvents() if anew else _found(plane, record, qualifier)
        after = replace(_changed(plane, record, before, body), modified=epoch())
        await plane.keep(replace(record, on_events={**record.on_events, qualifier: after}))
    return json_answer(200, _view(plane, record.name, qualifier, after))


def _changed(plane: Plane, record: Record, before: OnEvents, body: bodies.EventInvokeConfig) -> OnEvents:
    after = before
    if body.maximum_retry_attempts is not None:
        after = replace(after, retries=body.maximum_retry_attempts)
    if body.maximum_event_age_in_seconds is not None:
        after = replace(after, maximum_age=body.maximum_event_age_in_seconds)
    if body.destination_config is not None:
        success = body.destination_config.on_success.destination or None
        failure = body.destination_config.on_failure.destination or None
        for arn in filter(None, (success, failure)):
            if plane.destination(arn).removeprefix("function:").partition("@")[0] == record.name:
                raise invalid("You can't specify the function as a destination for itself.")
        after = replace(after, on_success=success, on_failure=failure)
    return after


def _qualified(plane: Plane, request: Request, function: str) -> tuple[Record, str]:
    name, qualifier = plane.named(function, request.query().get("Qualifier"))
    if name not in plane.store.functions and plane.declared(name) is None:
        if request.method in ("PUT", "POST"):
            raise not_found("The function doesn't exist.")
        raise _none(plane, name, qualifier or LATEST)
    record = plane.record(name, looking=request.method == "GET")
    if record.version(qualifier) is None:
        raise not_found("The function doesn't exist.")
    return record, qualifier or LATEST


def _found(plane: Plane, record: Record, qualifier: str) -> OnEvents:
    found = record.on_events.get(qualifier)
    if found is None:
        raise _none(plane, record.name, qualifier)
    return found


def _none(plane: Plane, name: str, qualifier: str) -> Exception:
    arn = plane.account.function_arn(name, qualifier)
    return not_found(f"The function {arn} doesn't have an EventInvokeConfig")


def _view(plane: Plane, name: str, qualifier: str, on_events: OnEvents) -> dict[str, Any]:
    told: dict[str, Any] = {
        "LastModified": on_events.modified,
        "FunctionArn": plane.account.function_arn(name, qualifier),
        "DestinationConfig": {
            "OnSuccess": {} if on_events.on_success is None else {"Destination": on_events.on_success},
            "OnFailure": {} if on_events.on_failure is None else {"Destination": on_events.on_failure},
        },
    }
    if on_events.retries is not None:
        told["MaximumRetryAttempts"] = on_events.retries
    if on_events.maximum_age is not None:
        told["MaximumEventAgeInSeconds"] = on_events.maximum_age
    return told
