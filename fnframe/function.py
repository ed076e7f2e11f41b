"""A function's configuration, and the limits within which it may be set."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec

from .destination import check_destination
from .errors import ConfigurationError
from .event import decode_json
from .options import Options
from .tenant import is_declaration

MB = 1024 * 1024

Isolation = Literal["process", "inline"]
StartMethod = Literal["fork", "spawn"]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, metaclass=Options):
    """Bounds of one app, Lambda's by default: `App("name", limits=Limits(timeout=3600))` raises one.

    `memory` and `ephemeral_storage` in MB, `timeout` in seconds, payloads in bytes; `concurrency` is the number of
    invocations in progress at once in one host process, `depth` the number of hops of a chain of functions.
    """

    memory: int = 10_240
    timeout: float = 900.0
    ephemeral_storage: int = 10_240
    concurrency: int = 1_000
    request_payload: int = 6 * MB
    response_payload: int = 6 * MB + 100
    asynchronous_payload: int = 1 * MB
    depth: int = 16

    def checked(self, where: str) -> Self:
        """These limits, or a `ConfigurationError` that says which of them cannot be."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            whole = isinstance(value, int) or name == "timeout"
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not whole or not value > 0:
                number = "number" if name == "timeout" else "whole number"
                raise ConfigurationError(f"Limits: {name} must be a {number} above 0, found {value!r}", where=where)
        return self


class TriggerSpec(msgspec.Struct, frozen=True):
    """A trigger as a manifest carries it: its kind, its fields as JSON, and how it reads to a person."""

    kind: str
    fields: bytes
    text: str


class EnvironmentSpec(msgspec.Struct, frozen=True):
    """What runs a function that is no Python handler of its app: the kind of an environment provider, the provider's
    own fields as JSON, and how it reads to a person."""

    kind: str
    fields: bytes
    text: str


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function's configuration, as `app.function(...)` set it; all that a host needs to know of it.

    Sizes are in MB, times in seconds. `poison` is how often an asynchronous event may end its environment or its host.
    `environment` is None for a Python handler of the app. `retry_delays` are seconds before the first retry, the
    second, and so on, the last one for all that follow; empty for the app's own policy. `version_of` names the function
    that this one is a `version` of: reports are that one's, and reserved concurrency is shared with it. `arn` is what
    records for destinations call it, where that is not its name: environment providers tell it.
    """

    name: str
    where: str
    memory: int = 128
    timeout: float = 3.0
    ephemeral_storage: int = 512
    retries: int = 2
    maximum_age: float = 21_600.0
    poison: int = 3
    reserved_concurrency: int | None = None
    provisioned_concurrency: int = 0
    isolation: Isolation = "process"
    variables: dict[str, str] = {}
    on_success: str | None = None
    on_failure: str | None = None
    tags: dict[str, str] = {}
    tenant: str | None = None
    is_async: bool = False
    triggers: tuple[TriggerSpec, ...] = ()
    environment: EnvironmentSpec | None = None
    retry_delays: tuple[float, ...] = ()
    version: str = "$LATEST"
    version_of: str = ""
    arn: str = ""

    @property
    def title(self) -> str:
        """The name by which people know it, whichever version of it this is."""
        return self.version_of or self.name

    def checked(self, limits: Limits) -> Self:
        """This configuration, or a `ConfigurationError` at the user's line that says which bound it breaks."""
        checks: list[tuple[str, Any, float, float, str]] = [
            ("memory", self.memory, 128, limits.memory, "MB"),
            ("timeout", self.timeout, 0.001, limits.timeout, "seconds"),
            ("ephemeral_storage", self.ephemeral_storage, 512, limits.ephemeral_storage, "MB"),
            ("retries", self.retries, 0, 1_000, "retries"),
            ("maximum_age", self.maximum_age, 0, 14 * 86_400, "seconds"),
            ("poison", self.poison, 1, 1_000, "ends of an environment"),
            (
                "reserved_concurrency",
                0 if self.reserved_concurrency is None else self.reserved_concurrency,
                0,
                limits.concurrency,
                "invocations",
            ),
            ("provisioned_concurrency", self.provisioned_concurrency, 0, limits.concurrency, "environments"),
        ]
        for option, value, low, high, unit in checks:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                self._refuse(f"{option} must be a number of {unit}, found {value!r}")
            if isinstance(value, float) and option not in ("timeout", "maximum_age"):
                self._refuse(f"{option} must be a whole number of {unit}, found {value!r}")
            if not low <= value <= high:
                self._refuse(f"{option} must lie between {low:,} and {high:,} {unit}, found {value:,}")
        if self.isolation not in ("process", "inline"):
            self._refuse(f"isolation must be 'process' or 'inline', found {self.isolation!r}")
        self._check_texts()
        self._check_inline()
        if self.reserved_concurrency is not None and self.provisioned_concurrency > self.reserved_concurrency:
            self._refuse(
                f"provisioned_concurrency ({self.provisioned_concurrency}) must not be greater than "
                f"reserved_concurrency ({self.reserved_concurrency})"
            )
        for option, destination in (("on_success", self.on_success), ("on_failure", self.on_failure)):
            if destination is not None:
                try:
                    check_destination(destination)
                except ValueError as error:
                    self._refuse(f"{option} {error}")
        return self

    def destinations(self) -> list[tuple[str, str]]:
        """Where records go, with the option that says so: of the function's own, and of its triggers."""
        options = [("on_success", self.on_success), ("on_failure", self.on_failure)]
        options += [(f"{spec.kind}: on_failure", decode_json(spec.fields).get("on_failure")) for spec in self.triggers]
        return [(option, destination) for option, destination in options if isinstance(destination, str)]

    def _check_texts(self) -> None:
        for option, texts in (("variables", self.variables), ("tags", self.tags)):
            if not isinstance(texts, dict) or not all(isinstance(t, str) for pair in texts.items() for t in pair):
                self._refuse(f"{option} must be a dict of texts to texts, found {texts!r}")
        for name, text in self.variables.items():
            if not name or "=" in name or "\0" in name + text:
                self._refuse(
                    f"variables: {name!r} cannot be set to {text!r}: a name is not empty and holds no '=', and neither "
                    "holds a NUL"
                )
        if self.tenant is not None and not is_declaration(self.tenant):
            self._refuse(
                "tenant must be 'header:NAME', or the path of a field of the event's data such as '$.customer.id', "
                f"found {self.tenant!r}"
            )

    def _check_inline(self) -> None:
        if self.isolation != "inline":
            return
        if self.environment is not None:
            self._refuse(f"isolation='inline' runs a handler of the app, and this one is {self.environment.text}")
        if not self.is_async:
            self._refuse(
                "isolation='inline' runs in the host's event loop, where only an async handler can be ended at its "
                "timeout: write `async def`, or leave isolation at 'process'"
            )
        defaults = Function(name=self.name, where=self.where)
        for option in ("memory", "ephemeral_storage", "variables", "provisioned_concurrency"):
            if getattr(self, option) != getattr(defaults, option):
                self._refuse(f"isolation='inline' has no environment of its own, so {option} would have no effect")

    def _refuse(self, problem: str) -> None:
        raise ConfigurationError(f"function {self.name!r}: {problem}", where=self.where)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the template tells of its bundle.

    `directory` is the folder of the app's file, from which relative paths count; `baseline_mb` the resident memory that
    importing the app brought, `baselines` the same for each function, whose variables may make it another; `threads`
    names Python threads that the import left running, because of which environments are spawned, not forked, unless
    `start_method` is set.
    """

    app: str
    directory: str
    functions: tuple[Function, ...]
    limits: Limits = Limits()
    baseline_mb: float = 0.0
    baselines: dict[str, float] = {}
    threads: tuple[str, ...] = ()
    start_method: StartMethod = "fork"

    def refuse_empty(self, target: str) -> None:
        """Raises `ConfigurationError` where there is no function; `target` is what was asked for."""
        if not self.functions:
            raise ConfigurationError(
                f"app {self.app!r} has no functions: decorate one with @app.function(...) in the module of {target!r}, "
                "or in one that it imports"
            )

    def baseline_of(self, function: str) -> float:
        """MB that an environment of this function uses which does nothing: part of every figure."""
        return self.baselines.get(function, self.baseline_mb)
