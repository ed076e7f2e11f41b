"""A record posted to a URL: what it looks like there, and what each answer means."""

from __future__ import annotations

import json
import socket

import pytest

from fnframe import ConfigurationError, Event
from fnframe.dispatch.settled import webhook
from fnframe.dispatch.settled.webhook import Refused, Unavailable, new_client, post
from fnframe.event import now

from .receiver import Receiver

pytestmark = pytest.mark.anyio

RECORD = Event(
    id="shop 7:bill:outcome", source="function:bill", type="fnframe.function.outcome", time=now(),
    data=b'{"version":"1.0"}', subject="7", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)  # fmt: skip


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def client():
    async with new_client(2) as client:
        yield client


async def test_a_record_is_a_cloud_event_with_a_key_that_makes_a_repeat_known(receiver, client):
    await post(client, f"{receiver.url}/hook?token=x", RECORD)
    ((path, headers, body),) = receiver.requests
    assert path == "/hook?token=x"
    assert json.loads(body) == {"version": "1.0"}
    assert headers["content-type"] == "application/json"
    assert headers["idempotency-key"] == headers["ce-id"] == "shop%207:bill:outcome"
    assert (headers["ce-type"], headers["ce-source"]) == ("fnframe.function.outcome", "function:bill")
    assert headers["ce-traceparent"] == RECORD.traceparent


async def test_a_password_in_the_url_becomes_a_header(receiver, client):
    await post(client, receiver.url.replace("//", "//me:secret@"), RECORD)
    assert receiver.requests[0][1]["authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_what_was_taken(receiver, client, status):
    receiver.answers.append(status)
    await post(client, receiver.url, RECORD)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (500, "answered 500 Internal Server Error"),
        (503, "answered 503 Service Unavailable"),
        (599, "answered 599"),
        (429, "answered 429 Too Many Requests"),
        (408, "answered 408 Request Timeout"),
        ("drop", r"cannot be reached \(RemoteProtocolError\)"),
        ("garbage", r"cannot be reached \(RemoteProtocolError\)"),
    ],
)
async def test_what_is_tried_again(receiver, client, answer, words):
    receiver.answers.append(answer)
    with pytest.raises(Unavailable, match=words) as caught:
        await post(client, f"{receiver.url}/secret", RECORD)
    assert caught.value.retry_after == 0
    assert str(caught.value).startswith(f"{receiver.url}/... ")


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("100000", 3600.0), ("-1", 0.0), ("Wed, 25 Nov 2026 10:00:00 GMT", 0.0)]
)
async def test_the_other_side_may_tell_when(receiver, client, text, seconds):
    receiver.answers.append((503, {"retry-after": text}))
    with pytest.raises(Unavailable) as caught:
        await post(client, receiver.url, RECORD)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (400, "answered 400 Bad Request"),
        (401, "answered 401 Unauthorized"),
        (404, "answered 404 Not Found"),
        (410, "answered 410 Gone"),
        (413, "answered 413"),
        (
            (307, {"location": "http://169.254.169.254/latest/meta-data"}),
            "answered 307 Temporary Redirect: redirects are not followed, name the address where they lead",
        ),
        ((301, {"location": "/elsewhere"}), "answered 301 Moved Permanently: redirects are not followed"),
    ],
)
async def test_what_will_never_be_taken(receiver, client, answer, words):
    receiver.answers.append(answer)
    with pytest.raises(Refused, match=words):
        await post(client, receiver.url, RECORD)
    assert len(receiver.requests) == 1


async def test_who_does_not_answer_is_not_waited_for(receiver, client, monkeypatch):
    monkeypatch.setattr(webhook, "SECONDS", 0.05)
    receiver.answers.append("hang")
    with pytest.raises(Unavailable, match=r"did not answer within 0\.05 seconds"):
        await post(client, receiver.url, RECORD)


async def test_an_answer_without_end_is_not_read_to_its_end(receiver, client):
    receiver.answers.append("flood")
    await post(client, receiver.url, RECORD)


async def test_an_answer_counts_by_its_status_also_where_its_body_is_cut(receiver, client):
    cut = {"content-length": "10", "connection": "close"}
    receiver.answers += [(200, cut), (404, cut)]
    await post(client, receiver.url, RECORD)
    with pytest.raises(Refused, match="answered 404 Not Found"):
        await post(client, receiver.url, RECORD)


async def test_a_port_where_nobody_listens(client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/secret"
        with pytest.raises(Unavailable, match=r"/\.\.\. cannot be reached \(ConnectError\)"):
            await post(client, url, RECORD)


async def test_a_name_that_is_none(client):
    with pytest.raises(Unavailable, match=r"https://nowhere\.invalid/\.\.\. cannot be reached \(ConnectError\)"):
        await post(client, "https://me:secret@nowhere.invalid/x", RECORD)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "httpx2", None)
    with pytest.raises(ConfigurationError, match=r"needs: pip install 'fnframe\[webhooks\]'"):
        new_client(1)
