"""Lambda's API over a running app: `running.aws_lambda`, and an ASGI application."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe import Trigger
from fnframe.event import new_id

from . import resolve
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

log = logging.getLogger("fnframe.lambda")

SERVICE = "aws_lambda"

Operation = Callable[["LambdaService", Request, str, str], Awaitable[Answer]]

_ROUTES: list[tuple[str, re.Pattern[bytes], Operation]] = [
    (method, re.compile(pattern), run)
    for method, pattern, run in (
        ("POST", rb"/2015-03-31/functions/([^/]+)/invocations/?", operation.invoke),
        ("POST", rb"/2021-11-15/functions/([^/]+)/response-streaming-invocations/?", operation.invoke_streaming),
        ("POST", rb"/2014-11-13/functions/([^/]+)/invoke-async/?", operation.invoke_async),
    )
]


class InvokeApi(Trigger, frozen=True):
    """What invocations by the Invoke API are said to come from."""


class Target(NamedTuple):
    """What runs for a name and a qualifier: the function that is served, and its version."""

    function: str
    version: str
    json_log: bool


class LambdaService:
    """Lambda's API over one running app. `asgi` is the application; `account` where its functions are said to be."""

    def __init__(self, running: RunningApp, account: Account) -> None:
        self.running = running
        self.account = account
        self._manifest: Any = None
        self._functions: dict[str, Function] = {}
        self._mappings: dict[str, Mapping] = {}

    def target(self, name: str, qualifier: str | None) -> Target:
        """What a name and a qualifier mean. Raises `ApiError` where there is no such function or version."""
        function = self._function(name)
        if function is None or qualifier not in (None, LATEST):
            raise resolve.missing(self.account, name, qualifier or LATEST)
        spec = spec_of(function) if function.environment is not None else None
        return Target(name, LATEST, spec is not None and spec.log_format == "JSON")

    def mapping(self, function: str) -> Mapping:
        """The way to hand events to a function."""
        mapping = self._mappings.get(function)
        if mapping is None:
            mapping = self._mappings[function] = self.running.mapping(function, InvokeApi())
        return mapping

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application. Signatures are not looked at: whoever reaches it may call it."""
        if scope["type"] != "http":
            return
        request_id = new_id()
        try:
            request = Request(scope, receive)
            answer = await self._answer(request, request_id)
        except ApiError as error:
            answer = error.answer()
        except Disconnected:
            return
        except Exception:
            log.exception("request %s", request_id)
            answer = ApiError(500, "ServiceException", "Service encountered an internal error.").answer()
        await send_answer(send, answer, request_id)

    async def _answer(self, request: Request, request_id: str) -> Answer:
        for method, pattern, run in _ROUTES:
            found = pattern.fullmatch(request.path)
            if found is not None and method == request.method:
                return await run(self, request, _decoded(found[1]), request_id)
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
    service = LambdaService(running, Account(settings.region, settings.account))
    if settings.port is not None:
        running.run_with_triggers(partial(_serve, service, settings))
    yield {SERVICE: service}


async def _serve(service: LambdaService, settings: Any, *, task_status: TaskStatus[Any]) -> None:
    from fnframe_http import Address, serve_application

    def tell(base: str) -> None:
        task_status.started(("lambda", f"Invoke API at {base}"))

    await serve_application(service.asgi, Address(settings.host, settings.port, "lambda"), settings.grace, tell)
