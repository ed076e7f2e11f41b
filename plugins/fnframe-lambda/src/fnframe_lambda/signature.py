"""Signature Version 4, verified: that a request was made by somebody who has one of the configured keys."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from .control.code import LARGEST_REQUEST
from .wire import ApiError, operation_too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .request import Request

ALGORITHM = "AWS4-HMAC-SHA256"
PATIENCE = 300.0
"""Seconds that a request's clock may be from this one's."""

_HEADER = re.compile(
    rf"{ALGORITHM} Credential=([^/,\s]+)/(\d{{8}})/([^/,\s]+)/([^/,\s]+)/aws4_request,\s*"
    r"SignedHeaders=([a-z0-9;_.-]+),\s*Signature=([0-9a-f]{64})"
)
_MOMENT = re.compile(r"\d{8}T\d{6}Z")


class Signed(NamedTuple):
    """What the `Authorization` of a request says."""

    key: str
    day: str
    region: str
    service: str
    headers: list[str]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


async def check_signature(request: Request, keys: Mapping[str, str], region: str, now: float) -> None:
    """Raises `ApiError` (403) unless the request is signed with one of `keys`, secrets by their ids.

    `now` is in seconds since the epoch. Signatures in the query, of presigned URLs, are not taken.
    """
    signed = _signed(request.header(b"authorization"))
    moment = request.header(b"x-amz-date")
    if not _MOMENT.fullmatch(moment) or not {"host", "x-amz-date"} <= set(signed.headers):
        raise ApiError(403, "IncompleteSignatureException", "X-Amz-Date and Host must be there, and be signed")
    secret = keys.get(signed.key)
    if secret is None:
        raise ApiError(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    _check_scope(signed, region, moment)
    _check_moment(moment, now)
    body = await request.body(LARGEST_REQUEST)
    if body is None:
        raise operation_too_large(LARGEST_REQUEST, "CreateFunction")
    canonical = _canonical(request, signed.headers, body)
    if not hmac.compare_digest(_signature(signed, secret, moment, canonical), signed.signature):
        text = "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        text += "Access Key and signing method. Consult the service documentation for details."
        raise ApiError(403, "InvalidSignatureException", text)


def _signed(authorization: str) -> Signed:
    if not authorization:
        raise ApiError(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    found = _HEADER.fullmatch(authorization.strip())
    if found is None:
        text = f"Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' of {ALGORITHM}."
        raise ApiError(403, "IncompleteSignatureException", text)
    key, day, region, service, headers, signature = found.groups()
    return Signed(key, day, region, service, headers.split(";"), signature)


def _check_scope(signed: Signed, region: str, moment: str) -> None:
    problem = ""
    if signed.region != region:
        problem = f"Credential should be scoped to a valid region, not '{signed.region}'."
    elif signed.service != "lambda":
        problem = "Credential should be scoped to correct service: 'lambda'."
    elif signed.day != moment[:8]:
        problem = (
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{moment}'."
        )
    if problem:
        raise ApiError(403, "InvalidSignatureException", problem)


def _check_moment(moment: str, now: float) -> None:
    try:
        signed_at = dt.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC).timestamp()
    except ValueError:
        raise ApiError(403, "IncompleteSignatureException", f"X-Amz-Date is no moment: '{moment}'") from None
    if abs(now - signed_at) > PATIENCE:
        at = dt.datetime.fromtimestamp(now, dt.UTC)
        text = f"Signature expired: {moment} is more than {PATIENCE / 60:.0f} min. from {at:%Y%m%dT%H%M%SZ}"
        raise ApiError(403, "InvalidSignatureException", text)


def _canonical(request: Request, headers: list[str], body: bytes) -> str:
    """The request in the form that is signed (docs.aws.amazon.com, "Create a signed AWS API request")."""
    path = request.whole_path.decode("latin-1") or "/"
    normal = posixpath.normpath(path).replace("//", "/")
    if path.endswith("/") and not normal.endswith("/"):
        normal += "/"
    query = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in request.pairs())
    fields = [f"{name}:{_field(request, name)}\n" for name in headers]
    return "\n".join(
        (
            request.method,
            quote(normal, safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            "".join(fields),
            ";".join(headers),
            hashlib.sha256(body).hexdigest(),
        )
    )


def _field(request: Request, name: str) -> str:
    wanted = name.encode()
    values = [value.decode("utf-8", "surrogateescape") for field, value in request.raw_headers if field == wanted]
    return ",".join(" ".join(value.split()) for value in values)


def _signature(signed: Signed, secret: str, moment: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in signed.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, f"{ALGORITHM}\n{moment}\n{signed.scope}\n{digest}".encode(), "sha256").hex()
