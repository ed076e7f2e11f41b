"""Functions behind every sort of route that the tests ask for."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pydantic
from fnframe_http import Http, Request, Response

from fnframe import App, Context, Event, Limits

app = App("web", limits=Limits(concurrency=20, asynchronous_payload=2_000))


class Order(msgspec.Struct):
    id: int
    items: list[str]


class Model(pydantic.BaseModel):
    id: int


@app.function(Http("POST /echo"), Http("PUT /echo"))
def echo(event: Any) -> Any:
    return event


@app.function(Http("ANY /request"), Http("ANY /request/{name}/{number:int}"))
def request(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "root_path": request.root_path,
        "path_params": request.path_params,
        "query": request.query.pairs(),
        "headers": request.headers.pairs(),
        "cookies": request.cookies,
        "body": request.body,
        "client": request.client,
    }


@app.function(Http("GET /uuid/{id:uuid}"))
def uuid(request: Request) -> bool:
    return isinstance(request.path_params["id"], UUID)


@app.function(Http("GET /number/{id:int}"))
def number(request: Request) -> Any:
    return request.path_params["id"]


@app.function(Http("GET /files/{rest:path}"))
async def files(request: Request) -> str:
    return request.path_params["rest"]


@app.function(Http("GET /files/special"))
def special() -> str:
    return "special"


@app.function(Http("POST /orders"))
def order(order: Order) -> Order:
    return order


@app.function(Http("POST /typed"))
def typed(request: Request[Order]) -> list[str]:
    return request.data.items


@app.function(Http("POST /model"))
def model(request: Request[Model]) -> Model:
    return request.data


@app.function(Http("POST /decoded"))
def decoded(request: Request) -> int:
    return request.json(Order).id


@app.function(Http("POST /raw"))
def raw(data: bytes) -> bytes:
    return data[::-1]


@app.function(Http("POST /size"))
def size(data: bytes) -> int:
    return len(data)


@app.function(Http("GET /value/{kind}"))
def value(request: Request) -> Any:
    values: dict[str, Any] = {
        "text": "text",
        "bytes": b"\x00\xff",
        "none": None,
        "struct": Order(1, ["a"]),
        "list": [1, 2.5, True],
    }
    return values[request.path_params["kind"]]


@app.function(Http("GET /response/{kind}"))
def response(request: Request) -> Response:
    responses = {
        "text": lambda: Response("short and stout", 418),
        "cookies": lambda: Response(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")]),
        "json": lambda: Response(Order(1, []), 201, {"location": "/orders/1"}),
        "html": lambda: Response("<p>", content_type="text/html"),
        "empty": lambda: Response(status=204),
        "injected": lambda: Response("x", headers={"x-a": request.query["value"]}),
    }
    return responses[request.path_params["kind"]]()


class Forged:
    """What a function could send past the checks of `Response`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def to_payload(self) -> tuple[str, bytes]:
        from fnframe_http.description import RESPONSE, Answer, encode

        if self.kind == "header":
            return RESPONSE, encode(Answer(200, [(b"x-a", b"b\r\nset-cookie: c=d")], b""))
        if self.kind == "status":
            return RESPONSE, encode(Answer(100, [], b""))
        if self.kind == "garbage":
            return RESPONSE, b"garbage"
        return "text/plain\r\nset-cookie: c=d", b""


@app.function(Http("GET /forged/{kind}"))
def forged(request: Request) -> Forged:
    return Forged(request.path_params["kind"])


@app.function(Http("GET /fails"))
def fails() -> None:
    raise ValueError("the password is 12345")


@app.function(Http("GET /slow"), timeout=0.2)
def slow() -> None:
    time.sleep(60)


@app.function(Http("GET /exits"))
def exits() -> None:
    os._exit(1)


@app.function(Http("GET /never"), reserved_concurrency=0)
def never() -> None:
    return None


@app.function(Http("GET /waits"), timeout=30)
def waits(request: Request) -> str:
    """Tells that it began, and waits until it is told to end."""
    folder = Path(request.query["folder"])
    (folder / "began").write_text(str(os.getpid()))
    while not (folder / "end").exists():
        time.sleep(0.005)
    return "done"


@app.function(Http("POST /later", invocation="async"), Http("POST /later/{name}", invocation="async"))
def later(event: Event, context: Context) -> None:
    data = event.value()
    with Path(data["file"]).open("a") as file:
        file.write(f"{event.id} {event.type} {event.subject} {context.trace}\n")


PUSHED = {
    "headers": {"x-event": ["push"]},
    "query": {"dry": [{"exists": False}]},
    "path_params": {"number": [{"numeric": ["<", 10]}]},
    "method": ["POST"],
    "data": {"ref": ["main"]},
}


@app.function(Http("POST /hooks/{number:int}", "async", filter=[PUSHED, {"data": {"ref": ["force"]}}]))
def hook(event: Event) -> None:
    data = event.value()
    with Path(data["file"]).open("a") as file:
        file.write(f"{data['number']}\n")


@app.function(Http("POST /event"))
def event(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "data": event.value(),
        "datacontenttype": event.datacontenttype,
        "trace": event.traceparent,
        "extensions": event.extensions,
    }
