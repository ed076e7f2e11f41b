"""The ASGI application: requests in, events to functions, answers out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from fnframe import FnframeError, FunctionNotFound, PayloadTooLarge, Success
from fnframe.event import JSON, encode_json, new_id
from fnframe.outcome import REQUEST_TOO_LARGE

from .body import Disconnected, read_body
from .connected import while_connected
from .description import RESPONSE, Answer, decode_answer
from .incoming import event_of, path_of
from .problem import Problem, problem_of
from .response import is_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from fnframe import Event, Mapping, Outcome

    from .router import Router

log = logging.getLogger("fnframe.http")

HEALTH = "/healthz"
_JSON = (b"content-type", JSON.encode())
_HEALTHY = Answer(200, [_JSON], encode_json({"status": "ok"}))

Answered = tuple[str, Answer]
"""The id by which reports and logs know the request, and what it is answered with."""


async def answer(scope: Scope, receive: Receive, send: Send, router_of: Callable[[], Router]) -> None:
    """Answer one request. `router_of` gives the routes as they are now, or raises the `Problem` to answer with."""
    try:
        request_id, answered = await _answered(scope, receive, router_of())
    except Disconnected:
        return
    except Exception as error:
        request_id = new_id()
        answered = _problem_of(error, request_id).answer(request_id)
    await _send(scope, send, answered, request_id)


async def _answered(scope: Scope, receive: Receive, router: Router) -> Answered:
    prefix, path = path_of(scope)
    method = scope["method"]
    if path == HEALTH and method in ("GET", "HEAD") and not router.has(HEALTH):
        return new_id(), _HEALTHY
    endpoint, parameters = router.find(method, path)
    mapping = endpoint.mapping
    fields = dict(scope["headers"])
    body = await read_body(receive, fields.get(b"content-length"), mapping.settings.max_body)
    event = event_of(scope, fields, prefix, path, endpoint, parameters, body)
    if endpoint.is_async:
        return await _enqueued(mapping, event)
    outcome = await while_connected(receive, lambda: mapping.invoke(event))
    return outcome.report.request_id, _answer_to(outcome, debug=mapping.debug)


async def _enqueued(mapping: Mapping, event: Event) -> Answered:
    accepted = await mapping.enqueue(event)
    body = encode_json({"eventId": event.id, "duplicate": not accepted})
    # The id of a CloudEvent is any text of its maker's, line breaks too.
    request_id = event.id if event.id.isascii() and event.id.isprintable() else new_id()
    return request_id, Answer(202, [_JSON], body)


async def _send(scope: Scope, send: Send, answered: Answer, request_id: str) -> None:
    headers, body = [*answered.headers, (b"x-request-id", request_id.encode())], answered.body
    if answered.status in (204, 304):
        body = b""
    else:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _answer_to(outcome: Outcome, *, debug: bool) -> Answer:
    """What the client gets of an outcome."""
    request_id = outcome.report.request_id
    if not isinstance(outcome, Success):
        return problem_of(outcome, debug=debug).answer(request_id)
    if outcome.content_type == JSON:
        return Answer(200, [_JSON], outcome.payload)
    try:
        described = _described(outcome)
    except (msgspec.DecodeError, UnicodeEncodeError):
        described = Answer(0, [], b"")
    # Checked in the environment too; but what comes out of it is the function's word.
    if 200 <= described.status <= 599 and all(is_allowed(*field) for field in described.headers):
        return described
    problem = Problem(500, "InternalServerError", "the function's response is not allowed in HTTP")
    log.error("request %s: %s", request_id, problem)
    return problem.answer(request_id)


def _described(success: Success) -> Answer:
    if success.content_type == RESPONSE:
        return decode_answer(success.payload)
    return Answer(200, [(b"content-type", success.content_type.encode("latin-1"))], success.payload)


def _problem_of(error: Exception, request_id: str) -> Problem:
    """What is answered when there is no outcome: the event was not accepted, or this is a bug."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, PayloadTooLarge):
        return Problem(413, REQUEST_TOO_LARGE, str(error))
    if isinstance(error, FunctionNotFound):
        return Problem(404, "NotFound", "this function is gone")
    if isinstance(error, FnframeError):
        return Problem(503, type(error).__name__, str(error), headers=[(b"retry-after", b"1")])
    log.error("request %s: a bug in fnframe-http", request_id, exc_info=error)
    return Problem(500, "InternalServerError", "the server failed")
