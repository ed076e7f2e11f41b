"""What type checkers must know of an app: nothing here is run."""

from typing import Any, assert_type

import msgspec
from fnframe_cron import Cron, Tick
from fnframe_files import Files, ObjectCreated
from fnframe_http import Http, Request, Response
from fnframe_queue import Queue

from fnframe import App, Batch, Context, Event, Failure, Success

app = App("typed")


class Order(msgspec.Struct):
    name: str


@app.function(Files("uploads", "*.jpg"), memory=256, timeout=10, retries=2)
def thumbnail(event: ObjectCreated, context: Context) -> str:
    assert_type(event.read(), bytes)
    assert_type(context.remaining(), float)
    return event.key


@app.function(Http("POST /orders"))
async def order(request: Request[Order]) -> Response:
    assert_type(request.data, Order)
    return Response({"accepted": request.data.name})


@app.function(Queue("orders"))
def pack(batch: Batch[Order]) -> None:
    for record in batch:
        assert_type(record.data, Order)


@app.function(Cron("@daily"))
def sweep(tick: Tick[Order]) -> int:
    assert_type(tick.data, Order)
    return 1


@app.function()
def anything(event: Event) -> None:
    assert_type(event.data, bytes)
    assert_type(event.value(), Any)


@app.on_start
def connect() -> None: ...


async def use(created: ObjectCreated, context: Context, batch: Batch[Order], tick: Tick[Order]) -> None:
    assert_type(thumbnail(created, context), str)
    assert_type(await order(Request("POST", "/orders")), Response)
    assert_type(sweep(tick), int)
    pack(batch)
    connect()
    async with app.run(grace=1) as running:
        outcome = await running.invoke("thumbnail", {"key": "cat"})
        assert_type(outcome, Success | Failure)
        assert_type(outcome.unwrap(), Any)
        assert_type(outcome.report.duration_ms, float)
        assert_type(outcome.report.max_memory_used_mb, float | None)
        assert_type(await running.enqueue("order"), str)
        if isinstance(outcome, Failure):
            assert_type(outcome.error_type, str)
    with app.run_in_thread() as blocking:
        assert_type(blocking.invoke("thumbnail"), Success | Failure)
        assert_type(blocking.enqueue("order"), str)
