"""CloudEvents 1.0 on the way in; the SDK of the specification's authors makes what is sent."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

pytestmark = pytest.mark.anyio

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def made(data: Any, **attributes: Any) -> CloudEvent:
    attributes = {"id": "42", "source": "/shop", "type": "order.placed", "specversion": "1.0", **attributes}
    return CloudEvent(attributes, data)


@pytest.mark.parametrize("form", [to_binary_event, to_structured_event])
async def test_an_event_of_the_sdk_arrives_as_it_was_made(web: httpx2.AsyncClient, form: Any) -> None:
    event = made({"a": [1]}, subject="o-1", datacontenttype="application/json", shop="berlin")
    message = form(event)
    answer = await web.post("/event", headers=dict(message.headers), content=message.body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["id"], told["source"], told["type"], told["subject"]) == ("42", "/shop", "order.placed", "o-1")
    assert told["data"] == {"a": [1]}
    assert told["extensions"] == {"shop": "berlin"}


async def test_a_function_of_plain_data_gets_the_data(web: httpx2.AsyncClient) -> None:
    message = to_structured_event(made({"id": 1, "items": ["a"]}, datacontenttype="application/json"))
    for path in ("/echo", "/orders"):
        answer = await web.post(path, headers=dict(message.headers), content=message.body)
        assert answer.json() == {"id": 1, "items": ["a"]}


async def test_the_trace_of_the_event_comes_before_that_of_the_request(web: httpx2.AsyncClient) -> None:
    other = TRACE.replace("0af", "0bf")
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "traceparent": TRACE}
    answer = await web.post("/event", headers=headers, content=b"1")
    assert answer.json()["trace"] == TRACE
    answer = await web.post("/event", headers={**headers, "ce-traceparent": other}, content=b"1")
    assert answer.json()["trace"] == other


async def test_the_same_event_is_accepted_once(web: httpx2.AsyncClient, kit: Any, tmp_path: Any) -> None:
    file = tmp_path / "seen"
    headers = {"ce-specversion": "1.0", "ce-id": f"{tmp_path}", "ce-source": "s", "ce-type": "t"}
    answers = [await web.post("/later", headers=headers, json={"file": str(file)}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json()["duplicate"] for answer in answers] == [False, True]
    await kit.until(file.exists)


async def test_an_id_cannot_inject_a_header(web: httpx2.AsyncClient, tmp_path: Any) -> None:
    """The id of an asynchronous event is the answer's request id, and may be any text."""
    event = {"specversion": "1.0", "id": "a\r\nset-cookie: b=c é", "source": "s", "type": "t", "data": {"file": "/"}}
    answer = await web.post("/later", headers={"content-type": "application/cloudevents+json"}, json=event)
    assert answer.status_code == 202
    assert answer.json()["eventId"] == event["id"]
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-request-id"] != event["id"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"),
    [
        ({"ce-specversion": "0.3", "ce-id": "1"}, b"1", 400, "specversion 1.0"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s"}, b"1", 400, "'type'"),
        ({"content-type": "application/cloudevents+json"}, b"{", 400, "structured mode"),
        ({"content-type": "application/cloudevents+json"}, b"[]", 400, "structured mode"),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", 415, "not in batches"),
    ],
)
async def test_what_is_no_event_is_refused(
    web: httpx2.AsyncClient, headers: dict[str, str], body: bytes, status: int, words: str
) -> None:
    answer = await web.post("/event", headers=headers, content=body)
    assert answer.status_code == status
    assert words in answer.json()["errorMessage"]
