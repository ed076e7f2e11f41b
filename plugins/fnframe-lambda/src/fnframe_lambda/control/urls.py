"""Function URLs: their configuration. `data_plane` answers at them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from ..names import LATEST
from ..resolve import missing
from ..wire import Answer, conflict, json_answer, not_found
from . import bodies
from .at_url import PREFIX
from .checks import LARGEST_BODY, between, matching, refuse
from .paging import page
from .records import Url, url_stamp

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane
    from .records import Record


async def create(plane: Plane, request: Request, function: str) -> Answer:
    """`POST /2021-10-31/functions/{FunctionName}/url`"""
    body = await request.members(LARGEST_BODY, bodies.CreateUrl, "CreateFunctionUrlConfig")
    async with plane.changing:
        record, qualifier = _qualified(plane, request, function)
        if qualifier in record.urls:
            arn = plane.account.function_arn(record.name, _shown(qualifier))
            raise conflict(f"Failed to create function url config for [functionArn = {arn}]. Error message:  "
                           f"FunctionUrlConfig exists for this Lambda function")  # fmt: skip
        now = url_stamp()
        url = _changed(Url(id=uuid.uuid4().hex, auth=body.auth_type, created=now, modified=now), body)
        record = replace(record, urls={**record.urls, qualifier: url})
        await plane.keep(record)
    told = _view(plane, request, record, qualifier)
    del told["LastModifiedTime"]  # It has none yet, says Lambda's model.
    return json_answer(201, told)


async def get(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2021-10-31/functions/{FunctionName}/url`"""
    record, qualifier = _found(plane, request, function)
    return json_answer(200, _view(plane, request, record, qualifier))


async def update(plane: Plane, request: Request, function: str) -> Answer:
    """`PUT /2021-10-31/functions/{FunctionName}/url`"""
    body = await request.members(LARGEST_BODY, bodies.UpdateUrl, "UpdateFunctionUrlConfig")
    async with plane.changing:
        record, qualifier = _found(plane, request, function)
        url = replace(_changed(record.urls[qualifier], body), modified=url_stamp())
        record = replace(record, urls={**record.urls, qualifier: url})
        await plane.keep(record)
    return json_answer(200, _view(plane, request, record, qualifier))


async def delete(plane: Plane, request: Request, function: str) -> Answer:
    """`DELETE /2021-10-31/functions/{FunctionName}/url`"""
    async with plane.changing:
        record, qualifier = _found(plane, request, function)
        await plane.keep(replace(record, urls={key: url for key, url in record.urls.items() if key != qualifier}))
    return Answer(204)


async def list_(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2021-10-31/functions/{FunctionName}/urls`"""
    record = plane.record(plane.named(function).name, looking=True)
    return page(
        request,
        "FunctionUrlConfigs",
        sorted(record.urls),
        str,
        lambda qualifier: _view(plane, request, record, qualifier),
        most=50,
    )


def _qualified(plane: Plane, request: Request, function: str) -> tuple[Record, str]:
    """The function, and the alias that was asked for, or `$LATEST`. Raises `ApiError`."""
    name, qualifier = plane.named(function, request.query().get("Qualifier"))
    refuse(matching(qualifier, "qualifier", r"(?!^\d+$)[0-9a-zA-Z-_$]+", 128))
    record = plane.record(name, looking=request.method == "GET")
    if qualifier not in (None, LATEST) and qualifier not in record.aliases:
        raise missing(plane.account, name, qualifier)
    return record, qualifier or LATEST


def _found(plane: Plane, request: Request, function: str) -> tuple[Record, str]:
    record, qualifier = _qualified(plane, request, function)
    if qualifier not in record.urls:
        raise not_found("The resource you requested does not exist.")
    return record, qualifier


def _changed(before: Url, body: bodies.UpdateUrl) -> Url:
    after = before
    if body.auth_type is not None:
        after = replace(after, auth=body.auth_type)
    if body.invoke_mode is not None:
        after = replace(after, mode=body.invoke_mode)
    if body.cors is not None:
        refuse(between(body.cors.max_age, "cors.maxAge", 0, 86_400))
        after = replace(after, cors=body.cors)
    return after


def _shown(qualifier: str) -> str | None:
    return None if qualifier == LATEST else qualifier


def _view(plane: Plane, request: Request, record: Record, qualifier: str) -> dict[str, Any]:
    url = record.urls[qualifier]
    told: dict[str, Any] = {
        "FunctionUrl": f"{request.base}{PREFIX}{url.id}/",
        "FunctionArn": plane.account.function_arn(record.name, _shown(qualifier)),
        "AuthType": url.auth,
        "CreationTime": url.created,
        "LastModifiedTime": url.modified,
        "InvokeMode": url.mode,
    }
    if url.cors is not None:
        told["Cors"] = msgspec.to_builtins(url.cors)
    return told
