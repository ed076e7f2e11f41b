"""What the control plane remembers of a function: plain values, kept as JSON in the app's state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

import msgspec

from fnframe.event import new_id, now

from ..names import LATEST, Account

MAPPING_ARN = ":event-source-mapping:"


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """A function in one version. `code` is the digest of its archive, in base64, as Lambda tells it.

    `memory` and `storage` in MB, `timeout` in seconds. `variables` is None where they were never set. What begins with
    `application_`, `system_` or `log_` is its logging configuration; `tracing` and `architecture` have no effect here,
    and are told as they were set.
    """

    version: str = LATEST
    code: str
    code_size: int
    handler: str
    runtime: str
    role: str
    description: str = ""
    timeout: int = 3
    memory: int = 128
    storage: int = 512
    variables: dict[str, str] | None = None
    architecture: str = "x86_64"
    tracing: str = "PassThrough"
    log_format: Literal["Text", "JSON"] = "Text"
    log_group: str = ""
    application_log_level: str = ""
    system_log_level: str = ""
    modified: str = ""
    revision: str = ""

    def touched(self) -> Configuration:
        """As one that was changed just now."""
        return msgspec.structs.replace(self, modified=stamp(), revision=new_id())

    def same_as(self, other: Configuration) -> bool:
        """Whether both are one version: the same code, run in the same way."""
        plain = {"version": "", "modified": "", "revision": "", "description": ""}
        return msgspec.structs.replace(self, **plain) == msgspec.structs.replace(other, **plain)


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A name of a version, and of another one that gets a part of the invocations: `weights` has one at the most."""

    version: str
    description: str = ""
    weights: dict[str, float] = {}
    revision: str = ""

    def versions(self) -> list[str]:
        return [self.version, *self.weights]


class Provisioned(msgspec.Struct, frozen=True):
    """How many environments are kept for a version or an alias."""

    environments: int
    modified: str


class OnEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with asynchronous events: Lambda's event invoke configuration. Destinations are ARNs."""

    retries: int | None = None
    maximum_age: int | None = None
    on_success: str | None = None
    on_failure: str | None = None
    modified: float = 0.0


class Cors(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """What browsers may do with a function URL, as the API writes it. None is what was not said."""

    allow_credentials: bool | None = None
    allow_headers: list[str] | None = None
    allow_methods: list[str] | None = None
    allow_origins: list[str] | None = None
    expose_headers: list[str] | None = None
    max_age: int | None = None


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """A function URL: `id` is the first part of its host."""

    id: str
    auth: Literal["NONE", "AWS_IAM"]
    mode: Literal["BUFFERED", "RESPONSE_STREAM"] = "BUFFERED"
    created: str
    modified: str
    cors: Cors | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A function with all its versions, and what was set for it and for its qualifiers."""

    name: str
    latest: Configuration
    published: dict[str, Configuration] = {}
    last_version: int = 0
    aliases: dict[str, Alias] = {}
    reserved: int | None = None
    provisioned: dict[str, Provisioned] = {}
    on_events: dict[str, OnEvents] = {}
    urls: dict[str, Url] = {}
    tags: dict[str, str] = {}

    def versions(self) -> list[Configuration]:
        """All versions, `$LATEST` first."""
        return [self.latest, *self.published.values()]

    def version(self, qualifier: str | None) -> Configuration | None:
        """The version that a qualifier names: its number, `$LATEST`, nothing, or an alias."""
        if qualifier is None or qualifier == LATEST:
            return self.latest
        alias = self.aliases.get(qualifier)
        return self.published.get(qualifier) if alias is None else self.version(alias.version)

    def arn(self, account: Account) -> str:
        return account.function_arn(self.name)

    def digests(self) -> Iterator[str]:
        """The archives that it needs."""
        return (configuration.code for configuration in self.versions())


class EventSource(msgspec.Struct, frozen=True, kw_only=True):
    """An event source mapping: a queue or a stream that feeds a function. Times are in seconds, -1 is without end."""

    uuid: str
    source: str
    function: str
    qualifier: str | None = None
    enabled: bool = True
    batch_size: int
    window: int = 0
    filters: list[str] = []
    responses: list[str] = []
    concurrency: int | None = None
    start: Literal["", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] = ""
    start_at: float | None = None
    lanes: int = 1
    bisect: bool = False
    retries: int = -1
    maximum_age: int = -1
    tumbling_window: int = 0
    on_failure: str | None = None
    tags: dict[str, str] = {}
    modified: float = 0.0

    def arn(self, account: Account) -> str:
        return f"arn:aws:lambda:{account.region}:{account.id}{MAPPING_ARN}{self.uuid}"


def stamp() -> str:
    """This moment, as Lambda tells when a function was modified."""
    moment = now().astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "+0000")


def url_stamp() -> str:
    """This moment, as Lambda tells it of function URLs."""
    return now().astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def epoch() -> float:
    """This moment, in seconds since 1970."""
    return now().timestamp()
