"""Aliases: names of versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fnframe.event import new_id

from ..names import LATEST
from ..resolve import missing
from ..wire import Answer, ApiError, conflict, invalid, json_answer, not_found, outdated
from . import bodies
from .checks import ALIAS, LARGEST_BODY, between, matching, moved_on, refuse
from .paging import page
from .records import Alias

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane
    from .records import Record


async def create(plane: Plane, request: Request, function: str) -> Answer:
    """`POST /2015-03-31/functions/{FunctionName}/aliases`"""
    body = await request.members(LARGEST_BODY, bodies.CreateAlias, "CreateAlias")
    refuse([
        *matching(body.name, "name", ALIAS, 128),
        *([(None, "functionVersion", "Member must not be null")] if body.function_version is None else []),
    ])  # fmt: skip
    name = plane.named(function).name
    async with plane.changing:
        record = plane.record(name)
        if body.name in record.aliases:
            raise conflict(f"Alias already exists: {plane.account.function_arn(name, body.name)}")
        alias = _changed(plane, record, Alias(version=""), body)
        await plane.keep(replace(record, aliases={**record.aliases, body.name: alias}))
    return json_answer(201, _view(plane, name, body.name, alias))


async def get(plane: Plane, request: Request, function: str, alias: str) -> Answer:
    """`GET /2015-03-31/functions/{FunctionName}/aliases/{Name}`"""
    record = plane.record(plane.named(function).name, looking=True)
    return json_answer(200, _view(plane, record.name, alias, _alias(plane, record, alias)))


async def list_(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2015-03-31/functions/{FunctionName}/aliases`"""
    record = plane.record(plane.named(function).name, looking=True)
    version = request.query().get("FunctionVersion")
    names = [name for name, alias in sorted(record.aliases.items()) if version is None or version in alias.versions()]
    return page(request, "Aliases", names, str, lambda name: _view(plane, record.name, name, record.aliases[name]))


async def update(plane: Plane, request: Request, function: str, alias: str) -> Answer:
    """`PUT /2015-03-31/functions/{FunctionName}/aliases/{Name}`"""
    body = await request.members(LARGEST_BODY, bodies.UpdateAlias, "UpdateAlias")
    async with plane.changing:
        record = plane.record(plane.named(function).name)
        before = _alias(plane, record, alias)
        if moved_on(body.revision_id, before.revision):
            raise outdated()
        after = _changed(plane, record, before, body)
        await plane.keep(replace(record, aliases={**record.aliases, alias: after}))
    return json_answer(200, _view(plane, record.name, alias, after))


async def delete(plane: Plane, request: Request, function: str, alias: str) -> Answer:
    """`DELETE /2015-03-31/functions/{FunctionName}/aliases/{Name}`: also of one that is not there."""
    async with plane.changing:
        record = plane.record(plane.named(function).name)
        if alias in record.aliases:
            kept = {
                member: {key: value for key, value in getattr(record, member).items() if key != alias}
                for member in ("aliases", "on_events", "provisioned", "urls")
            }
            await plane.keep(replace(record, **kept))
    return Answer(204)


def _alias(plane: Plane, record: Record, alias: str) -> Alias:
    found = record.aliases.get(alias)
    if found is None:
        raise not_found(f"Cannot find alias arn: {plane.account.function_arn(record.name, alias)}")
    return found


def _changed(plane: Plane, record: Record, before: Alias, body: bodies.UpdateAlias) -> Alias:
    """An alias with what a request names. Raises `ApiError`."""
    refuse(matching(body.description, "description", ".*", 256))
    weights = before.weights
    if body.routing_config is not None:
        weights = body.routing_config.additional_version_weights or {}
    after = Alias(
        version=before.version if body.function_version is None else body.function_version,
        description=before.description if body.description is None else body.description,
        weights=weights,
        revision=new_id(),
    )
    _check_weights(after)
    for version in after.versions():
        if version != LATEST and version not in record.published:
            raise missing(plane.account, record.name, version)
    return after


def _check_weights(alias: Alias) -> None:
    problem: ApiError | None = None
    if len(alias.weights) > 1:
        problem = invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    elif alias.weights and LATEST in alias.versions():
        problem = invalid("$LATEST is not supported for an alias pointing to more than 1 version")
    elif alias.version in alias.weights:
        version = alias.version
        problem = invalid(
            f"Invalid function version {version}. Function version {version} is already included in routing "
            "configuration."
        )
    if problem is not None:
        raise problem
    for weight in alias.weights.values():
        refuse(between(weight, "routingConfig.additionalVersionWeights", 0.0, 1.0))


def _view(plane: Plane, function: str, name: str, alias: Alias) -> dict[str, Any]:
    told: dict[str, Any] = {
        "AliasArn": plane.account.function_arn(function, name),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    }
    if alias.weights:
        told["RoutingConfig"] = {"AdditionalVersionWeights": alias.weights}
    return told
