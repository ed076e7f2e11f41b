"""PublishVersion and ListVersionsByFunction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..names import LATEST
from ..wire import Answer, invalid, json_answer, outdated
from . import bodies, views
from .checks import LARGEST_BODY, matching, moved_on, refuse
from .paging import page

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane
    from .records import Record


def publish(record: Record, description: str | None = None) -> tuple[Record, str]:
    """A record with `$LATEST` as a version that does not change any more, and its number: the last one's, where nothing
    changed since."""
    last = record.published.get(str(record.last_version))
    if last is not None and last.same_as(record.latest):
        return record, last.version
    number = str(record.last_version + 1)
    version = replace(record.latest, version=number).touched()
    if description is not None:
        version = replace(version, description=description)
    return replace(record, last_version=int(number), published={**record.published, number: version}), number


async def publish_version(plane: Plane, request: Request, function: str) -> Answer:
    """`POST /2015-03-31/functions/{FunctionName}/versions`"""
    body = await request.members(LARGEST_BODY, bodies.PublishVersion, "PublishVersion")
    refuse(matching(body.description, "description", ".*", 256))
    name = plane.named(function).name
    async with plane.changing:
        before = plane.record(name)
        if moved_on(body.revision_id, before.latest.revision):
            raise outdated()
        digest = before.latest.code
        if body.code_sha256 and body.code_sha256 != digest:
            raise invalid(
                f"CodeSHA256 ({body.code_sha256}) is different from current CodeSHA256 in $LATEST ({digest}). Please "
                "try again with the CodeSHA256 in $LATEST."
            )
        record, number = publish(before, body.description)
        if record is not before:
            await plane.keep(record)
    state = views.CREATING if record is not before else views.ACTIVE
    configuration = record.published[number]
    return json_answer(201, views.configuration(plane.account, name, configuration, number, views.ACTIVE | state))


async def list_versions(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2015-03-31/functions/{FunctionName}/versions`"""
    name = plane.named(function).name
    declared = plane.declared(name)
    if declared is not None:
        told = views.declared(plane.account, declared, LATEST, views.LISTED)
        return page(request, "Versions", [LATEST], str, lambda _: told)
    record = plane.record(name)
    return page(
        request,
        "Versions",
        record.versions(),
        lambda each: f"{0 if each.version == LATEST else int(each.version):09d}",
        lambda each: views.configuration(plane.account, name, each, each.version, views.LISTED),
    )
