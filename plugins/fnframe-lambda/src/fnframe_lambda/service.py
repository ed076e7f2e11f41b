"""Lambda's API over a running app: `running.aws_lambda`, and an ASGI application."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe import Trigger
from fnframe.event import new_id

from . import resolve
from .control.at_url import url_of
from .control.plane import Plane
from .control.served import served_name
from .invoke import operation
from .names import LATEST, Account
from .request import Disconnected, Request, unquoted
from .spec import spec_of
from .wire import Answer, ApiError, send_answer

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from starlette.types import Receive, Scope, Send

    from fnframe import Function, Mapping
    from fnframe.lifespan import RunningApp

    from .control.records import Record

log = logging.getLogger("fnframe.lambda")

SERVICE = "aws_lambda"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_INVOKE = re.compile(rb"/2015-03-31/functions/([^/]+)/invocations/?")
_INVOKE_STREAMING = re.compile(rb"/2021-11-15/functions/([^/]+)/response-streaming-invocations/?")
_INVOKE_ASYNC = re.compile(rb"/2014-11-13/functions/([^/]+)/invoke-async/?")
_INVOCATIONS = (
    (_INVOKE, operation.invoke),
    (_INVOKE_STREAMING, operation.invoke_streaming),
    (_INVOKE_ASYNC, operation.invoke_async),
)


class InvokeApi(Trigger, frozen=True):
    """What invocations by the Invoke API are said to come from."""


class Target(NamedTuple):
    """What runs for a name and a qualifier: the function that is served, and its version."""

    function: str
    version: str
    json_log: bool


class LambdaService:
    """Lambda's API over one running app. `asgi` is the application; `account` where its functions are said to be."""

    def __init__(self, running: RunningApp, settings: Any) -> None:
        self.running = running
        self.account = Account(settings.region, settings.account)
        self.plane = Plane(running, self.account, settings)
        self.keys: dict[str, str] = settings.keys
        self._manifest: Any = None
        self._functions: dict[str, Function] = {}
        self._mappings: dict[str, Mapping] = {}

    def target(self, name: str, qualifier: str | None, *, as_event: bool = False) -> Target:
        """What a name and a qualifier mean. Raises `ApiError` where there is no such function or version.

        `as_event`: for an asynchronous invocation, of which an alias may say itself how it is retried.
        """
        record = self.plane.store.functions.get(name)
        if record is not None:
            return self._made(record, qualifier, as_event)
        function = self._function(name)
        if function is None or qualifier not in (None, LATEST):
            raise resolve.missing(self.account, name, qualifier or LATEST)
        spec = spec_of(function) if function.environment is not None else None
        return Target(name, LATEST, spec is not None and spec.log_format == "JSON")

    def _made(self, record: Record, qualifier: str | None, as_event: bool) -> Target:
        alias = record.aliases.get(qualifier or "")
        version = qualifier
        if alias is not None:
            version = alias.version
            for other, weight in alias.weights.items():
                if random.random() < weight:  # noqa: S311  which of two versions runs is no secret
                    version = other
        configuration = record.version(version)
        if configuration is None:
            raise resolve.missing(self.account, record.name, qualifier or LATEST)
        served = served_name(record, configuration.version, qualifier if as_event else None)
        return Target(served, configuration.version, configuration.log_format == "JSON")

    def mapping(self, function: str) -> Mapping:
        """The way to hand events to a function."""
        mapping = self._mappings.get(function)
        if mapping is None:
            mapping = self._mappings[function] = self.running.mapping(function, InvokeApi())
        return mapping

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application. Signatures are looked at only where the settings have keys."""
        if scope["type"] != "http":
            return
        request_id = new_id()
        try:
            request = Request(scope, receive, request_id)
            answer = await self._answer(request)
        except ApiError as error:
            answer = error.answer()
        except Disconnected:
            return
        except Exception:
            log.exception("request %s", request_id)
            answer = ApiError(500, "ServiceException", "Service encountered an internal error.").answer()
        await send_answer(send, answer, request_id)

    async def _answer(self, request: Request) -> Answer:
        at_url = url_of(request)
        if at_url is not None:
            from .control import data_plane

            return await data_plane.answer(self, request, at_url)
        if request.headers.get(b"origin") and not self.keys:
            # A page of any site can have a browser on this machine ask whatever listens on loopback.
            raise ApiError(403, "AccessDeniedException", "requests of web pages are taken at function URLs alone")
        if self.keys:
            from .signature import check_signature

            await check_signature(request, self.keys, self.account.region, self.running.clock.time())
        if request.method == "POST":
            for pattern, invoke in _INVOCATIONS:
                found = pattern.fullmatch(request.path)
                if found is not None:
                    return await invoke(self, request, _decoded(found[1]))
        from .control import routes  # All of the control plane, which few apps' clients call.

        asked = routes.find(request.method, request.path)
        if asked is not None:
            run, parts = asked
            return await run(self.plane, request, *map(_decoded, parts))
        shown = f"{request.method} {request.path.decode('latin-1')}"
        raise ApiError(404, "UnknownOperationException", f"Lambda has no operation {shown}")

    def _function(self, name: str) -> Function | None:
        manifest = self.running.manifest
        if manifest is not self._manifest:
            self._manifest = manifest
            self._functions = {function.name: function for function in manifest.functions}
            self._mappings.clear()
        return self._functions.get(name)


@lru_cache(maxsize=1024)
def _decoded(part: bytes) -> str:
    return unquoted(part.decode("latin-1"))


@asynccontextmanager
async def lifespan(running: RunningApp) -> AsyncIterator[dict[str, Any]]:
    """Offers the service as `running.aws_lambda`, and serves it where the settings name a port."""
    settings = running.settings_of("lambda")
    service = LambdaService(running, settings)
    await service.plane.begin()
    running.run_with_triggers(service.plane.feeding.run, polls=True)
    if settings.port is not None:
        running.run_with_triggers(partial(_serve, service, settings))
    yield {SERVICE: service}


async def _serve(service: LambdaService, settings: Any, *, task_status: TaskStatus[Any]) -> None:
    from fnframe_http import Address, serve_application

    if not settings.keys and settings.host not in LOOPBACK:
        log.warning(
            "Lambda's API listens at %s, and no signature is asked for: whoever reaches it can make functions, and so "
            "run any code here; name access keys under [lambda.keys] in fnframe.toml",
            settings.host,
        )

    def tell(base: str) -> None:
        task_status.started(("lambda", f"Invoke API at {base}"))

    await serve_application(service.asgi, Address(settings.host, settings.port, "lambda"), settings.grace, tell)
