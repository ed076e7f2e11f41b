"""Events as triggers make them: what a function gets is what it gets in production."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
from fnframe_cron import Cron, Tick
from fnframe_cron.testing import tick_event
from fnframe_files import Files, ObjectCreated, ObjectRemoved
from fnframe_files.testing import created_event, removed_event
from fnframe_http import Http, Request
from fnframe_http.testing import request_event
from fnframe_queue import Queue

from fnframe import App, Batch
from fnframe.testing import batch_event, event

pytestmark = pytest.mark.anyio


class Order(msgspec.Struct):
    name: str


def an_app(tmp_path):
    app = App("events")
    app.directory = tmp_path

    @app.function(Http("GET /photos/{name}/{size:int}"))
    async def photo(request: Request) -> dict:
        return {**request.path_params, "query": request.query["x"], "agent": request.headers["User-Agent"]}

    @app.function(Http("POST /orders", "async", filter={"data": {"name": ["cat"]}}), tenant="header:X-Tenant")
    async def order(order: Order) -> str:
        return order.name

    @app.function(Files("uploads", "*.txt", events=("created", "removed")))
    async def upload(event: ObjectCreated | ObjectRemoved) -> str:
        return event.read().decode() if isinstance(event, ObjectCreated) else f"no {event.key}"

    @app.function(Cron("@daily", name="nightly"))
    async def sweep(tick: Tick) -> str:
        return f"{tick.schedule} {tick.scheduled:%F}"

    @app.function(Queue("orders"))
    async def pack(batch: Batch[Order]) -> list:
        return [(record.id, record.data.name, record.key) for record in batch]

    return app


async def test_requests(app_client, tmp_path):
    client = await app_client(an_app(tmp_path), triggers=[])
    asked = request_event(
        "GET /photos/a%20cat/320?x=1", route="GET /photos/{name}/{size:int}", headers={"User-Agent": "test"}
    )
    outcome = await client.trigger("photo", asked)
    assert outcome.unwrap() == {"name": "a cat", "size": 320, "query": "1", "agent": "test"}
    with pytest.raises(ValueError, match="'/photos/cat' does not fit the route"):
        request_event("GET /photos/cat", route="GET /photos/{name}/{size:int}")


async def test_requests_that_are_enqueued_pass_the_filter_first(app_client, tmp_path):
    client = await app_client(an_app(tmp_path), triggers=[])
    for name in ("cat", "dog"):
        assert await client.trigger(
            "order", request_event("POST /orders", {"name": name}, headers={"X-Tenant": "acme"})
        )
    await client.drained()
    (report,) = client.heard.assert_outcomes("order", "success")
    assert (report.tenant, report.trigger) == ("acme", "http")
    assert [function for function, _ in client.heard.filtered] == ["order"]


async def test_files(app_client, tmp_path):
    (tmp_path / "note.txt").write_text("seen")
    client = await app_client(an_app(tmp_path), triggers=[])
    assert (await client.invoke("upload", event=created_event(tmp_path, "note.txt"))).unwrap() == "seen"
    assert (await client.invoke("upload", event=removed_event(tmp_path, "note.txt"))).unwrap() == "no note.txt"
    with pytest.raises(FileNotFoundError):
        created_event(tmp_path, "nothing.txt")


async def test_ticks(app_client, tmp_path):
    client = await app_client(an_app(tmp_path), triggers=[])
    tick = tick_event(dt.datetime(2026, 10, 25, tzinfo=dt.UTC), schedule="nightly")
    assert (await client.invoke("sweep", event=tick)).unwrap() == "nightly 2026-10-25"
    assert (await client.invoke("sweep", event=tick_event())).unwrap().startswith("test 20")


async def test_batches(app_client, tmp_path):
    client = await app_client(an_app(tmp_path), triggers=[])
    batch = batch_event([{"name": "cat"}, {"name": "dog"}], source="queue:orders", keys=["a", "b"])
    assert (await client.invoke("pack", event=batch)).unwrap() == [["0", "cat", "a"], ["1", "dog", "b"]]


def test_events_of_ones_own():
    made = event({"a": 1}, type="shop.order", subject="cat")
    assert (made.value(), made.type, made.subject, made.source) == ({"a": 1}, "shop.order", "cat", "test")
    assert made.id != event().id
