"""Usage events to a collector: each is sent until it is taken, under the same id."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
from billing_reports import NOON, report
from fnframe_billing.collector import Refused, Sender, post
from fnframe_billing.ledger import Ledger, Position
from fnframe_billing.schema import MEMORY
from fnframe_billing.settings import Collector

from fnframe import ConfigurationError
from fnframe.cloudevents import from_structured
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

VARIABLE = "$SECRET_TOKEN"


class Server:
    """A collector on loopback. `answers` are the next statuses, with headers; then it takes everything."""

    def __init__(self):
        self.requests = []
        self.answers = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers = server.answers.pop(0) if server.answers else (204, {})
                server.requests.append((self.path, dict(self.headers), json.loads(body), status))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/api/v1/events?x=1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def taken(self):
        return [event for _, _, events, status in self.requests if status == 204 for event in events]


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def ledger():
    with Ledger(MEMORY, "shop") as ledger:
        yield ledger


def sender(server, ledger, **settings):
    return Sender(Collector(url=server.url, **settings), ledger, "shop", init_billed=True)


async def test_each_invocation_is_an_event(server, ledger):
    ledger.write(
        [
            report(request_id="r1", tenant="acme", tags={"team": "web"}, duration_ms=99.5, init_duration_ms=20.0),
            report(request_id="r2", attempt=2, invocation_type="asynchronous", event_bytes=1024 * 1024, cpu_ms=None),
        ]
    )
    assert await sender(server, ledger).send_batch()
    assert not await sender(server, ledger).send_batch()
    ((path, headers, (one, two), _),) = server.requests
    assert path == "/api/v1/events?x=1"
    assert headers["Content-Type"] == "application/cloudevents-batch+json"
    assert one == {
        "specversion": "1.0", "id": "r1:1", "source": "shop", "type": "fnframe.invocation", "subject": "acme",
        "time": NOON.isoformat().replace("+00:00", "Z"), "datacontenttype": "application/json",
        "data": {
            "function": "f", "trigger": "direct", "invocation_type": "synchronous", "outcome": "success",
            "memory_mb": 128, "requests": 1, "billed_ms": 120, "mb_ms": 15_360, "gb_seconds": 0.015, "peak_mb": 40.5,
            "cpu_ms": 12.5, "tags": {"team": "web"},
        },
    }  # fmt: skip
    assert (two["id"], two["subject"], two["data"]["requests"], two["data"]["cpu_ms"]) == ("r2:2", "shop", 13, None)
    assert from_structured(json.dumps(one).encode()).id == "r1:1"


async def test_what_is_not_taken_comes_again_under_the_same_ids(server, ledger, monkeypatch):
    monkeypatch.setattr("fnframe_billing.collector.BASE", 0.002)
    monkeypatch.setattr("fnframe_billing.collector.LOOK", 0.002)
    server.answers = [(500, {}), (204, {}), (429, {"Retry-After": "0"}), (302, {"Location": "/elsewhere"}), (400, {})]
    ledger.write([report(request_id=f"r{n}") for n in range(25)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sender(server, ledger, batch=10).run)
        with anyio.fail_after(10):
            while len(server.taken()) < 25:
                await anyio.sleep(0.002)
        ledger.write([report(request_id="later")])
        with anyio.fail_after(10):
            while len(server.taken()) < 26:
                await anyio.sleep(0.002)
        tasks.cancel_scope.cancel()
    assert [event["id"] for event in server.taken()] == [f"r{n}:1" for n in range(25)] + ["later:1"]
    assert [status for *_, status in server.requests] == [500, 204, 429, 302, 400, 204, 204, 204]
    assert {path for path, *_ in server.requests} == {"/api/v1/events?x=1"}, "no redirect is followed"


async def test_a_collector_that_is_not_there_is_told_without_what_is_secret(server, ledger, caplog, monkeypatch):
    monkeypatch.setattr("fnframe_billing.collector.BASE", 0.002)
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    server.close()
    ledger.write([report()])
    away = Sender(Collector(url=f"{server.url}&key=pass", token=VARIABLE), ledger, "shop", init_billed=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(away.run)
        with anyio.fail_after(10):
            while "is not taken by the collector at 127.0.0.1 (ConnectionRefusedError" not in caplog.text:
                await anyio.sleep(0.002)
        tasks.cancel_scope.cancel()
    assert "s3cret" not in caplog.text
    assert "pass" not in caplog.text
    monkeypatch.setattr(server, "close", lambda: None)


async def test_a_token_is_a_bearer_token(server, ledger, monkeypatch):
    ledger.write([report()])
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    await sender(server, ledger, token=VARIABLE).send_batch()
    assert server.requests[0][1]["Authorization"] == "Bearer s3cret"
    with pytest.raises(ConfigurationError, match="token is the variable ABSENT, which is not set"):
        sender(server, ledger, token="$ABSENT")  # noqa: S106  the name of a variable


@pytest.mark.parametrize("token", ["s3cr\net", "s3crét", " \n"])
async def test_a_token_that_is_no_header_is_told_without_it(server, ledger, monkeypatch, token):
    """The client's own error shows the header, and the log told it; a file's last line break is no part of it."""
    monkeypatch.setenv("SECRET_TOKEN", token)
    with pytest.raises(ConfigurationError, match="token must be of printable ASCII characters, and is not"):
        sender(server, ledger, token=VARIABLE)
    monkeypatch.setenv("SECRET_TOKEN", "s3cret\n")
    ledger.write([report()])
    await sender(server, ledger, token=VARIABLE).send_batch()
    assert server.requests[0][1]["Authorization"] == "Bearer s3cret"


async def test_what_is_secret_in_a_url_is_not_kept(server, ledger, kit):
    ledger.write([report()])
    sending = Sender(Collector(url=f"{server.url}&key=s3cret"), ledger, "shop", init_billed=True)
    await sending.send_batch()
    assert sending.sent() == 1
    assert "key=s3cret" in server.requests[0][0]
    ((reader,),) = kit.rows(ledger, "SELECT reader FROM positions")
    assert "127.0.0.1" not in reader
    assert "s3cret" not in reader


async def test_hosts_that_share_a_ledger_share_what_there_is_to_send(server, ledger):
    ledger.write([report(request_id=f"r{n}") for n in range(4)])
    one, two = (sender(server, ledger, batch=2) for _ in range(2))
    await one.send_batch()
    await two.send_batch()
    assert [event["id"] for event in server.taken()] == [f"r{n}:1" for n in range(4)]
    ledger.move(one._reader, Position(2, ""))
    assert two.sent() == 4, "a slow one does not set the others back"


async def test_retry_after_is_heeded(server):
    answers = ["7", "Wed, 25 Nov 2026 00:00:00 GMT", "99999999999"]
    server.answers = [(503, {"Retry-After": answer}) for answer in answers]
    for seconds in (7.0, None, 3600.0):
        with pytest.raises(Refused, match="503") as raised:
            post(server.url, b"[]", {})
        assert raised.value.retry_after == seconds


async def test_a_running_app_sends_what_it_used_and_the_next_what_was_left(server, tmp_path, kit, monkeypatch):
    monkeypatch.setattr("fnframe_billing.collector.LOOK", 0.005)
    shop = str(shutil.copy(kit.SHOP, tmp_path / "shop.py"))
    (tmp_path / "fnframe.toml").write_text(f'[billing.collector]\nurl = "{server.url}"\nsource = "eu-1"\n')
    async with run_target(shop) as running:
        first = [(await running.invoke("order", {"customer": "acme"})).report.request_id for _ in range(3)]
        await running.enqueue("order", {"customer": "zeta"})
        await running.drained()
    taken = {event["id"]: event for event in server.taken()}  # One that was on its way at the end is sent again.
    assert {f"{id_}:1" for id_ in first} < set(taken)
    assert sorted(event["subject"] for event in taken.values()) == ["acme", "acme", "acme", "zeta"]
    assert {event["source"] for event in taken.values()} == {"eu-1"}
    server.answers = [(500, {})] * 1000
    async with run_target(shop) as running:
        last = (await running.invoke("order", {"customer": "acme"})).report.request_id
    server.answers = []
    async with run_target(shop):
        pass
    assert server.taken()[-1]["id"] == f"{last}:1"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("collector", "must begin with http:// or https://, found 'collector'"),
        ("ftp://me:s3cret@host/x", "must begin with http:// or https://, found 'ftp://host/...'"),
        ("http://me:s3cret@host/x", "must hold no password, which belongs into collector.token; found 'http://host"),
        ("http://host:s3cret/x", "must be a URL with a host, .*, found 'http://..."),
        ("http://host/a b", "must be a URL with a host, of printable ASCII without spaces"),
        ("https:///x", "must be a URL with a host"),
    ],
)
async def test_a_url_that_is_none_is_told(tmp_path, kit, url, problem):
    shop = str(shutil.copy(kit.SHOP, tmp_path / "shop.py"))
    (tmp_path / "fnframe.toml").write_text(f'[billing.collector]\nurl = "{url}"\n')
    with pytest.raises(ConfigurationError, match=problem) as raised:
        async with run_target(shop):
            pass
    assert "s3cret" not in str(raised.value)


async def test_what_a_test_runs_is_on_nobodys_bill(kit, tmp_path, server):
    shop = str(shutil.copy(kit.SHOP, tmp_path / "shop.py"))
    (tmp_path / "fnframe.toml").write_text(f'[billing.collector]\nurl = "{server.url}"\n')
    async with run_target(shop, clock=ManualClock()) as running:
        (await running.invoke("order", {"customer": "c"})).unwrap()
        assert (await running.billing.summary()).usage.invocations == 1
    assert server.requests == [], "an app that ends sends what is left before it has ended"
    assert not (tmp_path / ".fnframe" / "ledger.db").exists()
