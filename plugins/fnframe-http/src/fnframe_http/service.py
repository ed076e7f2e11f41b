"""The ASGI application: requests in, events to functions, answers out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fnframe import FnframeError, FunctionNotFound, NotRunning, PayloadTooLarge, Success
from fnframe.event import JSON, encode_json, new_id
from fnframe.outcome import REQUEST_TOO_LARGE

from .body import Disconnected, read_body
from .connected import while_connected
from .description import RESPONSE, decode_answer
from .incoming import event_of, path_of
from .problem import Problem, problem_of
from .response import is_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from fnframe import Event, Outcome

    from .description import Pairs
    from .router import Endpoint, Router

log = logging.getLogger("fnframe.http")

HEALTH = "/healthz"
_HEALTHY = encode_json({"status": "ok"})
_JSON = (b"content-type", JSON.encode())


async def answer(scope: Scope, receive: Receive, send: Send, router_of: Callable[[], Router]) -> None:
    """Answer one request. `router_of` gives the routes as they are now, or raises the `Problem` to answer with."""
    request_id = ""
    try:
        router = router_of()
        prefix, path = path_of(scope)
        if path == HEALTH and scope["method"] in ("GET", "HEAD") and not router.has(HEALTH):
            request_id, (status, headers, body) = new_id(), (200, [_JSON], _HEALTHY)
        else:
            endpoint, parameters = router.find(scope["method"], path)
            fields = dict(scope["headers"])
            content = await read_body(receive, fields.get(b"content-length"), endpoint.mapping.settings.max_body)
            event = event_of(scope, fields, prefix, path, endpoint, parameters, content)
            if endpoint.is_async:
                request_id = event.id
                status, headers, body = await _enqueue(endpoint, event)
            else:
                outcome = await while_connected(receive, lambda: endpoint.mapping.invoke(event))
                request_id = outcome.report.request_id
                status, headers, body = _answer_of(outcome, debug=endpoint.mapping.debug)
    except Disconnected:
        return
    except Problem as problem:
        request_id = request_id or new_id()
        status, headers, body = problem.encoded(request_id)
    except FnframeError as error:
        request_id = request_id or new_id()
        status, headers, body = _refused(error).encoded(request_id)
    except Exception:
        request_id = request_id or new_id()
        log.exception("request %s: a bug in fnframe-http", request_id)
        status, headers, body = Problem(500, "InternalServerError", "the server failed").encoded(request_id)
    await _send(scope, send, status, headers, body, request_id)


async def _send(scope: Scope, send: Send, status: int, headers: Pairs, body: bytes, request_id: str) -> None:
    if status in (204, 304):
        body = b""
    else:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    headers = [*headers, (b"x-request-id", request_id.encode("latin-1", "replace"))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _enqueue(endpoint: Endpoint, event: Event) -> tuple[int, Pairs, bytes]:
    accepted = await endpoint.mapping.enqueue(event)
    return 202, [_JSON], encode_json({"eventId": event.id, "duplicate": not accepted})


def _answer_of(outcome: Outcome, *, debug: bool) -> tuple[int, Pairs, bytes]:
    """Status, headers and body. Raises `Problem` for a failure, or for a response that HTTP does not allow."""
    if not isinstance(outcome, Success):
        problem = problem_of(outcome, debug=debug)
        return problem.encoded(outcome.report.request_id)
    if outcome.content_type == JSON:
        return 200, [_JSON], outcome.payload
    if outcome.content_type != RESPONSE:
        return 200, [(b"content-type", outcome.content_type.encode("latin-1"))], outcome.payload
    described = decode_answer(outcome.payload)
    # Checked in the environment too; but what comes out of it is the function's word.
    if not 200 <= described.status <= 599 or not all(is_allowed(*field) for field in described.headers):
        log.error("request %s: the function's response is not allowed in HTTP", outcome.report.request_id)
        return Problem(500, "InternalServerError", "the function's response is not allowed in HTTP").encoded(
            outcome.report.request_id
        )
    return described.status, described.headers, described.body


def _refused(error: FnframeError) -> Problem:
    """An event that was not accepted."""
    if isinstance(error, PayloadTooLarge):
        return Problem(413, REQUEST_TOO_LARGE, str(error))
    if isinstance(error, FunctionNotFound):
        return Problem(404, "NotFound", "this function is gone")
    headers = [(b"retry-after", b"1")]
    return Problem(
        503, "NotRunning" if isinstance(error, NotRunning) else type(error).__name__, str(error), headers=headers
    )
