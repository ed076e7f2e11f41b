"""What the server itself answers when it cannot, or may not, answer with a function's value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fnframe.event import JSON, encode_json
from fnframe.outcome import INVALID_EVENT, REFUSED, REQUEST_TOO_LARGE, THROTTLED, TIMED_OUT

from .description import Answer

if TYPE_CHECKING:
    from fnframe import Failure

    from .description import Pairs

HIDDEN = "the function failed; its log tells why, under this request id"


class Problem(Exception):
    """An error response. Its body has one shape for all: Lambda's `errorType`, `errorMessage` and `requestId`, and
    where they help `path` (of a bad field) and `stackTrace` (under `fnframe dev` only)."""

    def __init__(
        self, status: int, error_type: str, message: str, *, headers: Pairs | None = None, **more: Any
    ) -> None:
        self.status = status
        self.headers = headers or []
        self._members = {"errorType": error_type, "errorMessage": message, **more}
        super().__init__(message)

    def answer(self, request_id: str) -> Answer:
        """The error as a response."""
        body = encode_json({**self._members, "requestId": request_id})
        return Answer(self.status, [(b"content-type", JSON.encode()), *self.headers], body)


def too_large(limit: int) -> Problem:
    return Problem(413, REQUEST_TOO_LARGE, f"the body is larger than {limit:,} bytes")


def problem_of(failure: Failure, *, debug: bool) -> Problem:
    """The answer to who called a function that failed. What the function raised is told under `fnframe dev` only:
    messages of exceptions may hold what a client must not know."""
    error_type = failure.error_type
    message = failure.message.removeprefix(f"RequestId: {failure.report.request_id} Error: ")
    if error_type == INVALID_EVENT:
        return _invalid(message)
    if error_type == REQUEST_TOO_LARGE:
        return Problem(413, error_type, message)
    if error_type == THROTTLED:
        seconds = str(max(1, math.ceil(failure.retry_after or 1.0))).encode()
        return Problem(429, error_type, message, headers=[(b"retry-after", seconds)])
    if error_type == REFUSED:
        return Problem(503, error_type, message)
    if error_type == TIMED_OUT:
        return Problem(504, error_type, message)
    if not debug:
        return Problem(500, "InternalServerError", HIDDEN)
    return Problem(500, error_type, message, stackTrace=failure.stack_trace)


def _invalid(message: str) -> Problem:
    """msgspec's text ends with the path of the field: `... - at `$.items[0]``."""
    message = message.removeprefix("Unable to unmarshal input: ")
    _, found, path = message.rpartition(" - at `")
    more: dict[str, Any] = {"path": path.rstrip("`")} if found else {}
    return Problem(400, INVALID_EVENT, message, **more)
