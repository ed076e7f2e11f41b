"""What is served of a function that the API made: one of fnframe's functions for each version, and for each alias that
says itself what is done with asynchronous events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fnframe import Function

from ..names import LATEST
from ..spec import Spec

if TYPE_CHECKING:
    from .records import Configuration, OnEvents, Record

WHERE = "Lambda's API"
RETRIES, MAXIMUM_AGE = 2, 21_600.0
"""What Lambda does with asynchronous events unless told otherwise."""


class Surroundings(NamedTuple):
    """What serving needs to know beside the record: where the code of a digest lies, what a destination's ARN means,
    and how long retries wait."""

    root: Callable[[str], str]
    destination: Callable[[str], str]
    retry_delays: Sequence[float]


def served_name(record: Record, version: str, alias: str | None = None) -> str:
    """Under what name a version is served; through an alias that has something to say of events, under its name."""
    if alias is not None and alias in record.on_events:
        return f"{record.name}@{alias}" + ("" if record.aliases[alias].version == version else "+")
    return record.name if version == LATEST else f"{record.name}@{version}"


def functions_of(record: Record, around: Surroundings) -> Iterator[Function]:
    """All that is served of a function."""
    for configuration in record.versions():
        version = configuration.version
        yield _function(record, configuration, served_name(record, version), record.on_events.get(version), around)
    for name, alias in record.aliases.items():
        on_events = record.on_events.get(name)
        for version in alias.versions() if on_events is not None else ():
            pointed_at = record.version(version)
            assert pointed_at is not None
            yield _function(record, pointed_at, served_name(record, version, name), on_events, around)


def _function(
    record: Record, configuration: Configuration, name: str, on_events: OnEvents | None, around: Surroundings
) -> Function:
    retries = on_events.retries if on_events is not None else None
    maximum_age = on_events.maximum_age if on_events is not None else None
    return Function(
        name=name,
        where=WHERE,
        memory=configuration.memory,
        timeout=float(configuration.timeout),
        ephemeral_storage=configuration.storage,
        retries=RETRIES if retries is None else retries,
        retry_delays=tuple(around.retry_delays),
        maximum_age=MAXIMUM_AGE if maximum_age is None else float(maximum_age),
        reserved_concurrency=record.reserved,
        provisioned_concurrency=_provisioned(record, configuration.version, name),
        on_success=_destination(on_events.on_success if on_events is not None else None, around),
        on_failure=_destination(on_events.on_failure if on_events is not None else None, around),
        tags=record.tags,
        environment=_spec(configuration, around).environment(),
        version=configuration.version,
        version_of="" if name == record.name else record.name,
    )


def _spec(configuration: Configuration, around: Surroundings) -> Spec:
    return Spec(
        handler=configuration.handler,
        runtime=configuration.runtime,
        log_format=configuration.log_format,
        log_level=configuration.application_log_level,
        log_group=configuration.log_group,
        version=configuration.version,
        root=around.root(configuration.code),
        variables=configuration.variables or {},
    )


def _provisioned(record: Record, version: str, name: str) -> int:
    """Environments that are kept for a version: for itself, or for the alias that points at it."""
    if name != served_name(record, version):
        return 0
    asked = [
        provisioned.environments
        for qualifier, provisioned in record.provisioned.items()
        if qualifier == version or (qualifier in record.aliases and record.aliases[qualifier].version == version)
    ]
    return sum(asked)


def _destination(arn: str | None, around: Surroundings) -> str | None:
    return None if arn is None else around.destination(arn)
