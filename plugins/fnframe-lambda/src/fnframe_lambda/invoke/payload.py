"""What a caller of the Invoke API sends: the payload and what comes beside it, checked in Lambda's order."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from fnframe.event import UNDECODABLE

from ..wire import ApiError, invalid, too_large

if TYPE_CHECKING:
    from ..request import Request

LONGEST_CLIENT_CONTEXT = 3583
"""Bytes of base64."""

MEDIA_TYPES = (
    "",
    "application/json",
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1",
    "application/octet-stream",
    "binary/octet-stream",
    "text/json",
    # Not Lambda's, but what curl says of all that it is given with `-d`.
    "application/x-www-form-urlencoded",
)


async def read_payload(request: Request, limit: int) -> bytes:
    """The JSON of the request; `{}` where it has none. Raises `ApiError` (413, 415, 400)."""
    body = await request.body(limit)
    if body is None:
        raise too_large(limit)
    media_type = request.header(b"content-type").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES and not media_type.endswith("+json"):
        raise ApiError(415, "UnsupportedMediaTypeException", f"Unsupported Media Type: {media_type}")
    if not body:
        return b"{}"
    try:
        body.decode()  # msgspec does not look into texts here, and who reads them would find what is none.
        msgspec.json.decode(body, type=msgspec.Raw)
    except UNDECODABLE as error:
        text = f"Could not parse request body into json: Could not parse payload into json: {error}"
        raise ApiError(400, "InvalidRequestContentException", text) from None
    return body


def client_context(request: Request) -> str:
    """The JSON that came in `X-Amz-Client-Context`; empty without one. Raises `ApiError`."""
    encoded = request.headers.get(b"x-amz-client-context", b"")
    if not encoded:
        return ""
    if len(encoded) > LONGEST_CLIENT_CONTEXT:
        raise invalid(f"Client context must be no more than {LONGEST_CLIENT_CONTEXT} bytes of base64.")
    try:
        decoded = base64.b64decode(encoded, validate=True)
        msgspec.json.decode(decoded, type=dict[str, msgspec.Raw])
        return decoded.decode()
    except (binascii.Error, *UNDECODABLE):
        text = "Client context must be a valid Base64-encoded JSON object."
        raise ApiError(400, "InvalidRequestContentException", text) from None


def refuse_tenant(request: Request) -> None:
    """Functions have no tenants of their own here. Raises `ApiError`."""
    if b"x-amz-tenant-id" in request.headers:
        raise invalid(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request "
            "and try again."
        )
