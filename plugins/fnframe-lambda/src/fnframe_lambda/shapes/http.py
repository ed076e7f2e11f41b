"""API Gateway's HTTP API and function URLs: payload format 2.0, in and out."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

import msgspec
from fnframe_http import Request, Response

from fnframe.provider import Answer, Problem

from ..trace import header_of

if TYPE_CHECKING:
    from fnframe import Event

    from ..names import Account

TEXTS = ("text/", "application/json", "application/xml", "application/javascript")
_SAFE = "/:@!$&'()*+,;=~-._"


def request(event: Event, request_id: str, account: Account) -> dict[str, Any]:
    """A request of the HTTP trigger."""
    asked: Any = Request.from_event(event)
    path = quote(asked.root_path + asked.path, safe=_SAFE)
    host = asked.headers.get("host", "")
    shaped: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": asked.query_string,
    }
    cookies = [cookie.strip() for field in asked.headers.all("cookie") for cookie in field.split(";") if cookie.strip()]
    if cookies:
        shaped["cookies"] = cookies
    shaped["headers"] = _headers(asked, event, host)
    query = joined(parse_qsl(asked.query_string, keep_blank_values=True))
    if query:
        shaped["queryStringParameters"] = query
    shaped["requestContext"] = {
        "accountId": account.id,
        "apiId": "fnframe",
        "authentication": None,
        "domainName": host.partition(":")[0],
        "domainPrefix": host.partition(".")[0].partition(":")[0],
        "http": {
            "method": asked.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": asked.client,
            "userAgent": asked.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": f"{event.time:%d/%b/%Y:%H:%M:%S} +0000",
        "timeEpoch": int(event.time.timestamp() * 1000),
    }
    if asked.path_params:
        shaped["pathParameters"] = {name: str(value) for name, value in asked.path_params.items()}
    text = text_of(asked.body, asked.content_type)
    if asked.body:
        shaped["body"] = base64.b64encode(asked.body).decode() if text is None else text
    shaped["isBase64Encoded"] = bool(asked.body) and text is None
    return shaped


def _headers(asked: Any, event: Event, host: str) -> dict[str, str]:
    headers = joined((name, value) for name, value in asked.headers.pairs() if name != "cookie")
    port = host.rpartition(":")[2]
    headers.setdefault("x-forwarded-for", asked.client)
    headers.setdefault("x-forwarded-proto", asked.scheme)
    headers.setdefault("x-forwarded-port", port if port.isdigit() else {"https": "443"}.get(asked.scheme, "80"))
    trace = header_of(event.traceparent)
    if trace:
        headers.setdefault("x-amzn-trace-id", trace)
    return headers


def joined(pairs: Any) -> dict[str, str]:
    """Of what came several times, all values with commas between."""
    values: dict[str, str] = {}
    for name, value in pairs:
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def text_of(body: bytes, content_type: str) -> str | None:
    """A body that is text; None for one that goes as base64."""
    is_text = not content_type or content_type.startswith(TEXTS) or content_type.endswith(("+json", "+xml"))
    try:
        return body.decode() if is_text else None
    except UnicodeDecodeError:
        return None


def response(result: Any) -> Answer:
    """What a handler returned, as a response. Raises `Problem` for one that cannot be sent."""
    try:
        answer = described(result)
        content_type, payload = answer.to_payload()
    except (TypeError, ValueError, AttributeError) as error:
        raise Problem("Function.InvalidResponse", f"the handler's answer is no response of HTTP: {error}") from None
    return Answer(payload, content_type)


def described(result: Any) -> Response:
    """The same, not encoded yet. Raises `TypeError`, `ValueError` or `AttributeError`."""
    return _described(result) if isinstance(result, dict) and "statusCode" in result else _plain(result)


def _plain(result: Any) -> Response:
    body = result if isinstance(result, str) else msgspec.json.encode(result).decode()
    return Response(body.encode(), content_type="application/json")


def _described(result: dict[str, Any]) -> Response:
    body = result.get("body")
    if body is None:
        content = b""
    elif result.get("isBase64Encoded"):
        content = base64.b64decode(body)
    else:
        content = (body if isinstance(body, str) else msgspec.json.encode(body).decode()).encode()
    headers = [(name, _written(value)) for name, value in (result.get("headers") or {}).items()]
    # Its length is the server's to tell.
    headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
    headers += [("set-cookie", cookie) for cookie in result.get("cookies") or []]
    kinds = [value for name, value in headers if name.lower() == "content-type"]
    rest = [(name, value) for name, value in headers if name.lower() != "content-type"]
    kind = kinds[-1] if kinds else "application/json" if content else None
    answer = Response(content, int(result["statusCode"]), rest, content_type=kind)
    if kind is None:
        answer.headers = [field for field in answer.headers if field[0] != b"content-type"]
    return answer


def _written(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
