"""Answers of Lambda's API in wire form: what botocore and the other clients parse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe.event import encode_json

if TYPE_CHECKING:
    from starlette.types import Send

JSON = b"application/json"

Headers = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """A response: status, body, the content type, and other fields."""

    status: int
    body: bytes = b""
    headers: Headers = []  # noqa: RUF012  never changed
    content_type: bytes = JSON


class ApiError(Exception):
    """An error of the API itself, as `x-amzn-ErrorType` and a JSON body tell it.

    `key` is under which name the text goes: some of Lambda's errors write `Message`. `members` are others of the body.
    """

    def __init__(
        self, status: int, code: str, message: str, *, key: str = "message", members: Mapping[str, Any] | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.key = key
        self.members = dict(members or {})
        super().__init__(message)

    def answer(self) -> Answer:
        """The error as a response."""
        side = "User" if self.status < 500 else "Service"
        body = encode_json({**self.members, "Type": side, self.key: str(self)})
        return Answer(self.status, body, [(b"x-amzn-errortype", self.code.encode())])


def json_answer(status: int, value: Any) -> Answer:
    """A response whose body is this value."""
    return Answer(status, encode_json(value))


def not_found(message: str) -> ApiError:
    return ApiError(404, "ResourceNotFoundException", message, key="Message")


def invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterValueException", message)


def not_here(member: str) -> ApiError:
    """A request asks for what would not happen."""
    return invalid(f"{member} would have no effect: this server does not have it")


def violated(*violations: tuple[Any, str, str]) -> ApiError:
    """A `ValidationException`: values, the members that they are at, and what the members must be."""
    count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
    texts = [
        f"Value {_shown(value)} at '{member}' failed to satisfy constraint: {constraint}"
        for value, member, constraint in violations
    ]
    return ApiError(400, "ValidationException", count + "; ".join(texts))


def _shown(value: Any) -> str:
    return "null" if value is None else f"'{value}'"


def too_large(limit: int) -> ApiError:
    return operation_too_large(limit, "InvokeFunction")


def operation_too_large(limit: int, operation: str) -> ApiError:
    text = f"Request must be smaller than {limit} bytes for the {operation} operation"
    return ApiError(413, "RequestEntityTooLargeException", text, key="Message")


def conflict(message: str) -> ApiError:
    return ApiError(409, "ResourceConflictException", message)


def outdated() -> ApiError:
    """Somebody else changed it since the caller looked."""
    text = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve"
    )
    return ApiError(412, "PreconditionFailedException", f"{text} the latest Revision Id")


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    """Send a response, with the fields that every one of Lambda's has."""
    headers = [*answer.headers, (b"x-amzn-requestid", request_id.encode())]
    if answer.status != 204:
        headers += [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-amzn-remapped-content-length", b"0"),
        ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
