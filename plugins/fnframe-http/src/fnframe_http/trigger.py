"""The trigger: its configuration, checked where the user writes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from fnframe import ConfigurationError, Trigger
from fnframe.errors import nearest
from fnframe.function import MB
from fnframe.outcome import InvocationType

from .description import decode_description
from .route import Route, parse_route

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Event, Mapping


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[http]` of fnframe.toml.

    `host` and `port` are where the stand-alone server listens: loopback, unless told otherwise; port 0 takes one
    that is free. `max_body` is the largest body of a request, in bytes (6 MB, as in Lambda).
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8000
    max_body: Annotated[int, msgspec.Meta(ge=0)] = 6 * MB


_OF_REQUEST = frozenset({"method", "path", "path_params", "query", "headers"})


class Http(Trigger, frozen=True):
    """A function behind a route: `Http("GET /photos/{name}")`.

    `route` is a method (or `ANY`) and a path. `{name}` matches one part of the path; `{name:int}`, `{name:float}`
    and `{name:uuid}` match only what reads as such; `{name:path}` matches all that is left, slashes too. Where
    several routes match, the most specific wins, in whatever order they are declared. A `GET` route answers `HEAD`
    too.

    `invocation="sync"`: the client waits for the function's answer. `"async"`: it gets 202 as soon as the event is
    accepted; fnframe runs and retries it.

    Raises `ConfigurationError` for what makes no sense.
    """

    route: str
    invocation: Literal["sync", "async"] = "sync"

    invocation_type: ClassVar[InvocationType] = "synchronous"
    Settings: ClassVar[type[msgspec.Struct]] = HttpSettings

    def __post_init__(self) -> None:
        parse_route(self.route)
        if self.invocation not in ("sync", "async"):
            hint = nearest(str(self.invocation), ("sync", "async"))
            raise ConfigurationError(f"Http: invocation must be 'sync' or 'async', found {self.invocation!r}{hint}")

    def parsed(self) -> Route:
        """The route's method, path and parameters."""
        return parse_route(self.route)

    def is_awaited(self) -> bool:
        """With "async" the client has its answer, 202, before the function runs."""
        return self.invocation == "sync"

    def address(self) -> str:
        """One route has one function, whatever the parameters of its path are called."""
        route = self.parsed()
        return f"{route.method} {route.shape}"

    def document(self, event: Event, names: Collection[str]) -> dict[str, Any]:
        """Beside what every event has: the request's `method`, `path`, `path_params`, and `query` and `headers`, which
        hold an array of values for each name; those of headers are in lower case."""
        from .request import Request

        seen = super().document(event, names)
        if _OF_REQUEST.isdisjoint(names):
            return seen
        request = Request.from_event(event)
        return {
            "method": request.method,
            "path": request.path,
            "path_params": msgspec.to_builtins(request.path_params),
            "query": {name: request.query.all(name) for name in request.query},
            "headers": {name: request.headers.all(name) for name in request.headers},
            **seen,
        }

    def describe(self) -> str:
        """As the user wrote it."""
        more = [] if self.invocation == "sync" else [repr(self.invocation)]
        more += [] if self.filter is None else [f"filter={self.filter!r}"]
        return f"Http({', '.join([repr(self.route), *more])})"

    @classmethod
    def header(cls, event: Event, name: str) -> str | None:
        """A header field of the request; of several of one name the first."""
        if not event.origin:
            return super().header(event, name)
        wanted = name.lower().encode("latin-1")
        fields = decode_description(event.origin).headers
        return next((value.decode("latin-1") for field, value in fields if field.lower() == wanted), None)

    @classmethod
    async def run_all(cls, mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
        # One server for all routes; the web stack is no business of the templates that import this module.
        from .server import serve

        await serve(mappings, task_status=task_status)
