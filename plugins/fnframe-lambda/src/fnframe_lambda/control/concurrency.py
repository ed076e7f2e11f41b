"""Reserved and provisioned concurrency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..names import LATEST
from ..resolve import missing
from ..wire import Answer, ApiError, invalid, json_answer
from . import bodies
from .checks import LARGEST_BODY, between, refuse
from .paging import page
from .records import Provisioned, stamp
from .served import served_name

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane
    from .records import Record

UNRESERVED = 100
"""Invocations at once that must be left to the functions that reserve none."""


async def put(plane: Plane, request: Request, function: str) -> Answer:
    """`PUT /2017-10-31/functions/{FunctionName}/concurrency`"""
    body = await request.members(LARGEST_BODY, bodies.Concurrency, "PutFunctionConcurrency")
    wanted = body.reserved_concurrent_executions
    refuse(between(wanted, "reservedConcurrentExecutions", 0, 2**31 - 1))
    async with plane.changing:
        record = plane.record(plane.named(function).name)
        if wanted > unreserved(plane, without=record.name) - UNRESERVED:
            raise invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{UNRESERVED}]."
            )
        provisioned = sum(each.environments for each in record.provisioned.values())
        if wanted < provisioned:
            raise invalid(
                f" ReservedConcurrentExecutions  {wanted} should not be lower than function's total provisioned "
                f"concurrency [{provisioned}]."
            )
        await plane.keep(replace(record, reserved=wanted))
    return json_answer(200, {"ReservedConcurrentExecutions": wanted})


async def get(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2019-09-30/functions/{FunctionName}/concurrency`"""
    name = plane.named(function).name
    declared = plane.declared(name)
    reserved = plane.record(name).reserved if declared is None else declared.reserved_concurrency
    return json_answer(200, {} if reserved is None else {"ReservedConcurrentExecutions": reserved})


async def delete(plane: Plane, request: Request, function: str) -> Answer:
    """`DELETE /2017-10-31/functions/{FunctionName}/concurrency`"""
    async with plane.changing:
        await plane.keep(replace(plane.record(plane.named(function).name), reserved=None))
    return Answer(204)


def unreserved(plane: Plane, without: str = "") -> int:
    """Invocations at once that no function has reserved, `without` whichever is about to."""
    functions = {f.title: f for f in plane.running.manifest.functions if f.title != without}
    limit = plane.running.manifest.limits.concurrency
    return limit - sum(function.reserved_concurrency or 0 for function in functions.values())


async def put_provisioned(plane: Plane, request: Request, function: str) -> Answer:
    """`PUT /2019-09-30/functions/{FunctionName}/provisioned-concurrency`"""
    body = await request.members(LARGEST_BODY, bodies.ProvisionedConcurrency, "PutProvisionedConcurrencyConfig")
    wanted = body.provisioned_concurrent_executions
    refuse(between(wanted, "provisionedConcurrentExecutions", 1, 2**31 - 1))
    async with plane.changing:
        record, qualifier = _qualified(plane, request, function)
        _check_qualifier(record, qualifier)
        others = sum(each.environments for key, each in record.provisioned.items() if key != qualifier)
        if record.reserved is not None and wanted + others > record.reserved:
            raise invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                "function"
            )
        provisioned = Provisioned(wanted, stamp())
        await plane.keep(replace(record, provisioned={**record.provisioned, qualifier: provisioned}))
    return json_answer(202, _view(provisioned, 0))


async def get_provisioned(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2019-09-30/functions/{FunctionName}/provisioned-concurrency`; with `List=ALL` those of all qualifiers."""
    if request.query().get("List") == "ALL":
        return _listed(plane, request, function)
    record, qualifier = _qualified(plane, request, function)
    provisioned = record.provisioned.get(qualifier)
    if provisioned is None:
        text = "No Provisioned Concurrency Config found for this function"
        raise ApiError(404, "ProvisionedConcurrencyConfigNotFoundException", text)
    return json_answer(200, _view(provisioned, _ready(plane, record, qualifier)))


async def delete_provisioned(plane: Plane, request: Request, function: str) -> Answer:
    """`DELETE /2019-09-30/functions/{FunctionName}/provisioned-concurrency`"""
    async with plane.changing:
        record, qualifier = _qualified(plane, request, function)
        left = {key: each for key, each in record.provisioned.items() if key != qualifier}
        await plane.keep(replace(record, provisioned=left))
    return Answer(204)


def _listed(plane: Plane, request: Request, function: str) -> Answer:
    record = plane.record(plane.named(function).name, looking=True)

    def view(qualifier: str) -> dict[str, Any]:
        arn = {"FunctionArn": plane.account.function_arn(record.name, qualifier)}
        return arn | _view(record.provisioned[qualifier], _ready(plane, record, qualifier))

    return page(request, "ProvisionedConcurrencyConfigs", sorted(record.provisioned), str, view, most=50)


def _qualified(plane: Plane, request: Request, function: str) -> tuple[Record, str]:
    name, qualifier = plane.named(function, request.query().get("Qualifier"))
    refuse([(None, "qualifier", "Member must not be null")] if qualifier is None else [])
    assert qualifier is not None
    record = plane.record(name, looking=request.method == "GET")
    if record.version(qualifier) is None:
        raise missing(plane.account, name, qualifier)
    return record, qualifier


def _check_qualifier(record: Record, qualifier: str) -> None:
    """Either a version has provisioned concurrency or one alias of it. Raises `ApiError`."""
    alias = record.aliases.get(qualifier)
    if LATEST in (alias.versions() if alias is not None else [qualifier]):
        raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
    if alias is None:
        if any(qualifier in of.versions() for name, of in record.aliases.items() if name in record.provisioned):
            raise invalid("Version is pointed by a Provisioned Concurrency alias")
    elif any(version in record.provisioned for version in alias.versions()):
        raise invalid("Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version")


def _ready(plane: Plane, record: Record, qualifier: str) -> int:
    """How many environments of a version, or of the version of an alias, have begun."""
    configuration = record.version(qualifier)
    assert configuration is not None
    return plane.running.ready_environments(served_name(record, configuration.version))


def _view(provisioned: Provisioned, begun: int) -> dict[str, Any]:
    ready = min(begun, provisioned.environments)
    return {
        "RequestedProvisionedConcurrentExecutions": provisioned.environments,
        "AvailableProvisionedConcurrentExecutions": ready,
        "AllocatedProvisionedConcurrentExecutions": ready,
        "Status": "READY" if ready == provisioned.environments else "IN_PROGRESS",
        "LastModified": provisioned.modified,
    }
