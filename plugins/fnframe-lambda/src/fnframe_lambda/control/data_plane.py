"""What answers at function URLs: a request becomes an event, and the function's result a response."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
from fnframe_http import Response

from fnframe import Event, Failure, FunctionNotFound
from fnframe.event import JSON, encode_json, now
from fnframe.outcome import REQUEST_TOO_LARGE, THROTTLED

from ..names import LATEST
from ..origin import EVENT_TYPE, Origin, encode_origin
from ..shapes.http import described, joined, text_of
from ..signature import check_signature
from ..trace import header_of, new_traceparent, traceparent_of
from ..wire import Answer, ApiError
from . import cors

if TYPE_CHECKING:
    from fnframe import Outcome

    from ..request import Request
    from ..service import LambdaService
    from .at_url import AtUrl
    from .records import Url

INTEGRATION = "application/vnd.awslambda.http-integration-response"
"""The content type of a streamed response that begins with its status and headers, and then eight null bytes."""
END_OF_PRELUDE = b"\0" * 8


async def answer(service: LambdaService, request: Request, at: AtUrl) -> Answer:
    """Answer a request of a function URL. Raises `ApiError` where there is none, and where it is not allowed."""
    name, qualifier = service.plane.urls.get(at.id, ("", ""))
    record = service.plane.store.functions.get(name)
    if record is None:
        return _refusal(None)
    url = record.urls[qualifier]
    preflight = cors.preflight(url.cors, request)
    if preflight is not None:
        return preflight
    if url.auth == "AWS_IAM" and not await _may(service, request):
        return _refusal("Forbidden")
    limit = service.running.manifest.limits.request_payload
    body = await request.body(limit)
    if body is None:
        return Answer(413, encode_json({"Message": None}))
    target = service.target(name, qualifier)
    shown = None if qualifier == LATEST else qualifier
    event = _event(service, request, at, url, body, service.account.function_arn(name, shown))
    try:
        outcome = await service.mapping(target.function).invoke(event, fresh=True)
    except FunctionNotFound:
        return _refusal(None)
    answered = _answer_to(outcome)
    return answered._replace(headers=[*answered.headers, *cors.headers(url.cors, request)])


async def _may(service: LambdaService, request: Request) -> bool:
    """Whether a request to a URL that asks for a signature has one: a right one, where there are keys."""
    if not service.keys:
        return request.header(b"authorization").startswith("AWS4-HMAC-SHA256 ")
    try:
        await check_signature(request, service.keys, service.account.region, service.running.clock.time())
    except ApiError:
        return False
    return True


def _refusal(message: str | None) -> Answer:
    headers = [(b"x-amzn-errortype", b"AccessDeniedException")]
    return Answer(403, encode_json({"Message": message}), headers)


def _event(service: LambdaService, request: Request, at: AtUrl, url: Url, body: bytes, arn: str) -> Event:
    """The event of a request, in payload format 2.0: what a caller of the function would send."""
    moment = now()
    sent = request.header(b"x-amzn-trace-id")
    traceparent = (traceparent_of(sent) if sent else None) or new_traceparent()
    query = request.query_string.decode("latin-1")
    fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.raw_headers]
    told: dict[str, Any] = {"version": "2.0", "routeKey": "$default", "rawPath": at.path, "rawQueryString": query}
    cookies = [part.strip() for name, value in fields if name == "cookie" for part in value.split(";") if part.strip()]
    if cookies:
        told["cookies"] = cookies
    headers = joined(field for field in fields if field[0] != "cookie")
    port = headers.get("host", "").rpartition(":")[2]
    headers.setdefault("x-forwarded-for", request.client)
    headers.setdefault("x-forwarded-proto", request.scheme)
    headers.setdefault("x-forwarded-port", port if port.isdigit() else "80")
    headers.setdefault("x-amzn-trace-id", header_of(traceparent) or "")
    told["headers"] = headers
    if parameters := joined(request.pairs()):
        told["queryStringParameters"] = parameters
    context: dict[str, Any] = {
        "accountId": "anonymous" if url.auth == "NONE" else service.account.id,
        "apiId": url.id,
        "authentication": None,
        "domainName": f"{url.id}.lambda-url.{service.account.region}.on.aws",
        "domainPrefix": url.id,
        "http": {
            "method": request.method,
            "path": at.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request.id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{moment:%d/%b/%Y:%H:%M:%S} +0000",
        "timeEpoch": int(moment.timestamp() * 1000),
    }
    if url.auth == "AWS_IAM":
        context["authorizer"] = {"iam": _caller(service, request)}
    told["requestContext"] = context
    text = text_of(body, headers.get("content-type", ""))
    if body:
        told["body"] = base64.b64encode(body).decode() if text is None else text
    told["isBase64Encoded"] = bool(body) and text is None
    return Event(
        id=request.id,
        source="fnframe:lambda-url",
        type=EVENT_TYPE,
        time=moment,
        data=encode_json(told),
        traceparent=traceparent,
        origin=encode_origin(Origin(arn)),
    )


def _caller(service: LambdaService, request: Request) -> dict[str, Any]:
    key = request.header(b"authorization").partition("Credential=")[2].partition("/")[0]
    account = service.account.id
    return {
        "accessKey": key,
        "accountId": account,
        "callerId": key,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::{account}:user/fnframe",
        "userId": key,
    }


def _answer_to(outcome: Outcome) -> Answer:
    if isinstance(outcome, Failure):
        if outcome.kind == "rejected" and outcome.error_type == THROTTLED:
            return Answer(429, encode_json({"Message": "Rate Exceeded."}))
        if outcome.kind == "rejected" and outcome.error_type == REQUEST_TOO_LARGE:
            return Answer(413, encode_json({"Message": None}))
        return _broken()
    try:
        if outcome.content_type == INTEGRATION:
            prelude, _, payload = outcome.payload.partition(END_OF_PRELUDE)
            return _response(described(msgspec.json.decode(prelude) | {"body": None}))._replace(body=payload)
        if outcome.content_type != JSON:
            return Answer(200, outcome.payload, content_type=outcome.content_type.encode("latin-1"))
        return _response(described(msgspec.json.decode(outcome.payload)))
    except (TypeError, ValueError, AttributeError):  # No response of HTTP.
        return _broken()


def _broken() -> Answer:
    return Answer(502, b"Internal Server Error")


def _response(response: Response) -> Answer:
    kinds = [value for name, value in response.headers if name == b"content-type"]
    rest = [field for field in response.headers if field[0] != b"content-type"]
    return Answer(response.status, response.body, rest, kinds[0] if kinds else b"application/json")
