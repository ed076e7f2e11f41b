"""Tags of functions and of event source mappings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..wire import Answer, json_answer
from . import bodies
from .checks import LARGEST_BODY, check_tags
from .mappings import mapping_of
from .records import MAPPING_ARN, Record

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane
    from .records import EventSource


async def tag(plane: Plane, request: Request, arn: str) -> Answer:
    """`POST /2017-03-31/tags/{ARN}`"""
    body = await request.members(LARGEST_BODY, bodies.TagResource, "TagResource")
    async with plane.changing:
        resource = _resource(plane, arn)
        tags = {**resource.tags, **body.tags}
        check_tags(tags)
        await _keep(plane, resource, tags)
    return Answer(204)


async def untag(plane: Plane, request: Request, arn: str) -> Answer:
    """`DELETE /2017-03-31/tags/{ARN}?tagKeys=...`"""
    keys = [value for name, value in request.pairs() if name == "tagKeys"]
    async with plane.changing:
        resource = _resource(plane, arn)
        await _keep(plane, resource, {key: value for key, value in resource.tags.items() if key not in keys})
    return Answer(204)


async def list_(plane: Plane, request: Request, arn: str) -> Answer:
    """`GET /2017-03-31/tags/{ARN}`"""
    name = None if MAPPING_ARN in arn else plane.named(arn).name
    declared = None if name is None else plane.declared(name)
    return json_answer(200, {"Tags": _resource(plane, arn).tags if declared is None else declared.tags})


def _resource(plane: Plane, arn: str) -> Record | EventSource:
    if MAPPING_ARN in arn:
        return mapping_of(plane, arn.rpartition(":")[2])
    return plane.record(plane.named(arn).name)


async def _keep(plane: Plane, resource: Record | EventSource, tags: dict[str, str]) -> None:
    changed = replace(resource, tags=tags)
    if isinstance(changed, Record):
        await plane.keep(changed)
    else:
        await plane.store.save(changed)
