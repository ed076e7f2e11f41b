"""Event source mappings: queues and streams of the app that feed a function."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from fnframe import ConfigurationError
from fnframe.filter.patterns import InvalidPattern

from ..names import LATEST
from ..wire import Answer, ApiError, conflict, invalid, json_answer, not_found
from . import bodies
from .arns import source_of
from .checks import LARGEST_BODY, between, check_tags, refuse
from .paging import page
from .records import EventSource, epoch
from .sources import trigger_of
from .views import event_source

if TYPE_CHECKING:
    from ..request import Request
    from .arns import Source
    from .plane import Plane


async def create(plane: Plane, request: Request) -> Answer:
    """`POST /2015-03-31/event-source-mappings`"""
    body = await request.members(LARGEST_BODY, bodies.CreateMapping, "CreateEventSourceMapping")
    source = source_of(body.event_source_arn or "")
    if body.event_source_arn is None or source is None:
        raise invalid("Unrecognized event source.")
    refuse([(None, "startingPosition", "Member must not be null.")] if _needs_start(source, body) else [])
    if body.starting_position == "AT_TIMESTAMP" and (
        source.kind != "kinesis" or body.starting_position_timestamp is None
    ):
        raise invalid("AT_TIMESTAMP is for Kinesis streams, and needs a StartingPositionTimestamp")
    check_tags(body.tags)
    async with plane.changing:
        name, qualifier = _function(plane, body.function_name)
        mapping = EventSource(
            uuid=str(uuid.uuid4()),
            source=body.event_source_arn,
            function=name,
            qualifier=qualifier,
            batch_size=10 if source.is_queue else 100,
            start=body.starting_position or "",
            start_at=body.starting_position_timestamp,
            tags=body.tags,
        )
        mapping = _changed(mapping, source, body)
        _refuse_twice(plane, mapping, source)
        await plane.store.save(mapping)
        plane.sources_changed()
    return json_answer(202, event_source(plane.account, mapping, "Creating"))


async def get(plane: Plane, request: Request, uuid_: str) -> Answer:
    """`GET /2015-03-31/event-source-mappings/{UUID}`"""
    return json_answer(200, event_source(plane.account, mapping_of(plane, uuid_)))


async def list_(plane: Plane, request: Request) -> Answer:
    """`GET /2015-03-31/event-source-mappings`"""
    query = request.query()
    wanted = list(plane.store.mappings.values())
    if (arn := query.get("EventSourceArn")) is not None:
        wanted = [mapping for mapping in wanted if mapping.source == arn]
    if (function := query.get("FunctionName")) is not None:
        name, qualifier = plane.named(function)
        wanted = [m for m in wanted if m.function == name and (m.qualifier or LATEST) == (qualifier or LATEST)]
    wanted.sort(key=lambda mapping: mapping.uuid)
    return page(
        request,
        "EventSourceMappings",
        wanted,
        lambda mapping: mapping.uuid,
        lambda each: event_source(plane.account, each),
    )


async def update(plane: Plane, request: Request, uuid_: str) -> Answer:
    """`PUT /2015-03-31/event-source-mappings/{UUID}`"""
    body = await request.members(LARGEST_BODY, bodies.UpdateMapping, "UpdateEventSourceMapping")
    async with plane.changing:
        before = mapping_of(plane, uuid_)
        if body.function_name is not None:
            name, qualifier = _function(plane, body.function_name)
            before = replace(before, function=name, qualifier=qualifier)
        source = source_of(before.source)
        assert source is not None
        mapping = _changed(before, source, body)
        await plane.store.save(mapping)
        plane.sources_changed()
    state = {True: "Enabling", False: "Disabling", None: "Updating"}[body.enabled]
    return json_answer(202, event_source(plane.account, mapping, state))


async def delete(plane: Plane, request: Request, uuid_: str) -> Answer:
    """`DELETE /2015-03-31/event-source-mappings/{UUID}`"""
    async with plane.changing:
        mapping = mapping_of(plane, uuid_)
        await plane.store.remove(mapping)
        plane.sources_changed()
    return json_answer(202, event_source(plane.account, mapping, "Deleting"))


def mapping_of(plane: Plane, uuid_: str) -> EventSource:
    """The mapping of this UUID. Raises `ApiError`."""
    mapping = plane.store.mappings.get(uuid_)
    if mapping is None:
        raise not_found("The resource you requested does not exist.")
    return mapping


def _needs_start(source: Source, body: bodies.CreateMapping) -> bool:
    return not source.is_queue and body.starting_position is None


def _function(plane: Plane, text: str) -> tuple[str, str | None]:
    """A function that there is, of the API's or of the app's own, and the qualifier. Raises `ApiError`."""
    name, qualifier = plane.named(text)
    record = plane.store.functions.get(name)
    if record is not None:
        known = record.version(qualifier) is not None
    else:
        known = plane.declared(name) is not None and qualifier in (None, LATEST)
    if not known:
        raise invalid("Function does not exist")
    return name, qualifier


def _changed(before: EventSource, source: Source, body: bodies.UpdateMapping) -> EventSource:
    """A mapping with what a request names. Raises `ApiError`."""
    filters = None if body.filter_criteria is None else [each.pattern for each in body.filter_criteria.filters]
    named = {
        "enabled": body.enabled,
        "batch_size": body.batch_size,
        "window": body.maximum_batching_window_in_seconds,
        "filters": filters,
        "responses": body.function_response_types,
        "concurrency": None if body.scaling_config is None else body.scaling_config.maximum_concurrency,
        "lanes": body.parallelization_factor,
        "bisect": body.bisect_batch_on_function_error,
        "retries": body.maximum_retry_attempts,
        "maximum_age": body.maximum_record_age_in_seconds,
        "tumbling_window": body.tumbling_window_in_seconds,
    }
    changes = {member: value for member, value in named.items() if value is not None}
    if source.is_queue and (wrong := changes.keys() & _OF_STREAMS.keys()):
        raise invalid(f"{', '.join(sorted(_OF_STREAMS[member] for member in wrong))}: this is for streams, not for SQS")
    if not source.is_queue and "concurrency" in changes:
        raise invalid("ScalingConfig: this is for SQS, not for streams")
    after = replace(before, **changes, modified=epoch())
    if body.scaling_config is not None and body.scaling_config.maximum_concurrency is None:
        after = replace(after, concurrency=None)
    if body.destination_config is not None:
        after = replace(after, on_failure=_destination(body.destination_config, source))
    _check(after, source)
    return after


_OF_STREAMS = {
    "lanes": "ParallelizationFactor",
    "bisect": "BisectBatchOnFunctionError",
    "retries": "MaximumRetryAttempts",
    "maximum_age": "MaximumRecordAgeInSeconds",
    "tumbling_window": "TumblingWindowInSeconds",
}


def _destination(body: bodies.Destinations, source: Source) -> str | None:
    arn = body.on_failure.destination or None
    if arn is None:
        return None
    if source.is_queue:
        raise invalid("DestinationConfig: this is for streams, not for SQS")
    target = source_of(arn)
    if target is None or not target.is_queue:
        raise invalid(f"The destination ARN {arn} is invalid.")
    return arn


def _check(mapping: EventSource, source: Source) -> None:
    refuse([
        *between(mapping.batch_size, "batchSize", 1, 10_000),
        *between(mapping.window, "maximumBatchingWindowInSeconds", 0, 300),
        *between(mapping.concurrency, "scalingConfig.maximumConcurrency", 2, 1_000),
        *between(mapping.lanes, "parallelizationFactor", 1, 10),
        *between(mapping.retries, "maximumRetryAttempts", -1, 10_000),
        *between(mapping.maximum_age, "maximumRecordAgeInSeconds", -1, 604_800),
        *between(mapping.tumbling_window, "tumblingWindowInSeconds", 0, 900),
    ])  # fmt: skip
    if 0 <= mapping.maximum_age < 60:
        raise invalid("MaximumRecordAgeInSeconds must be -1, or lie between 60 and 604800")
    if source.is_fifo and mapping.window:
        raise invalid("MaximumBatchingWindowInSeconds is not supported for FIFO queues")
    if source.is_fifo and mapping.batch_size > 10:
        raise invalid("BatchSize must not be greater than 10 for FIFO queues")
    if source.is_queue and mapping.batch_size > 10 and not mapping.window:
        raise invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
    if mapping.tumbling_window and mapping.lanes > 1:
        raise invalid("ParallelizationFactor must be 1 with TumblingWindowInSeconds")
    if len(mapping.filters) > 10:
        raise invalid("Number of filters must not be greater than 10")
    try:
        trigger_of(mapping)
    except (InvalidPattern, msgspec.DecodeError, TypeError):
        raise invalid("Invalid filter pattern definition.") from None
    except ConfigurationError as error:
        raise invalid(error.problem) from None


def _refuse_twice(plane: Plane, mapping: EventSource, source: Source) -> None:
    for other in plane.store.mappings.values():
        if (other.source, other.function, other.qualifier) == (mapping.source, mapping.function, mapping.qualifier):
            raise _exists(other, source)


def _exists(other: EventSource, source: Source) -> ApiError:
    kind = {"sqs": "SQS", "kinesis": "kinesis", "dynamodb": "dynamodb"}[source.kind]
    return conflict(
        f'An event source mapping with {kind} arn (" {other.source} ") and function (" {other.function} ") already '
        f"exists. Please update or delete the existing mapping with UUID {other.uuid}"
    )
