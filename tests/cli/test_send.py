"""`fnframe send` and `fnframe dlq` beside an app that runs in another process, or not at all, on one engine."""

from __future__ import annotations

import json
import re

import pytest

APP = """
from fnframe import App
from fnframe_queue import Queue
from fnframe_stream import Stream

app = App("shop")


@app.function(Queue("orders", batch_size=1, maximum_attempts=1))
def order(order):
    if order == "bad":
        raise ValueError("a bad order")
    print("ordered", order, flush=True)


@app.function(Stream("clicks"))
def click(clicks):
    print("clicked", clicks, flush=True)
"""


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "fnframe.toml").write_text('engine = "sqlite:///shop.db"\n')
    return folder


def test_what_nobody_reads_is_sent_and_told(fnframe, shop):
    sent = fnframe("send", "shop", "ordres", "--data", "1", "--id", "one")
    assert (sent.returncode, sent.stdout) == (0, "one\n")
    assert sent.stderr == (
        "no trigger of the app's functions reads queue:ordres, did you mean 'queue:orders'?; "
        "they read: queue:orders, stream:clicks\n"
    )
    (shop / "app.py").write_text("1 / 0\n")
    sent = fnframe("send", "shop", "orders", "--data", "2", "--id", "two")
    assert (sent.returncode, sent.stdout) == (0, "two\n")
    assert "it was sent; whether any function reads queue:orders is not known: " in sent.stderr
    assert "ZeroDivisionError" in sent.stderr


def test_what_is_sent_reaches_the_app_and_what_it_gives_up_on_can_be_redriven(fnframe, start, shop):
    sent = fnframe("send", "shop", "orders", "--data", '{"n": 1}')
    assert (sent.returncode, sent.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f-]{36}\n", sent.stdout)
    assert fnframe("send", "shop", "queue:orders", "--data", '"bad"', "--id", "two").stdout == "two\n"
    again = fnframe("send", "shop", "orders", "--data", "3", "--id", "two")
    assert (again.returncode, again.stdout, again.stderr) == (0, "two\n", "queue:orders: two was accepted before\n")
    large = fnframe("send", "shop", "stream:clicks", "--key", "u1", "--data", "-", "--raw", input="x" * 1_048_577)
    assert large.returncode == 2
    assert "'stream:clicks' has 1,048,577 bytes of data; the limit here is 1,048,576 bytes" in large.stderr

    run = start("run", "shop", "--log-format", "text")
    run.read_until("ordered {'n': 1}", "message two lies among the dead letters")
    fnframe("send", "shop", "stream:clicks", "--key", "u1", "--data", "-", "--raw", input="plain")
    run.read_until("clicked ['plain']")
    (letter,) = json.loads(fnframe("dlq", "list", "shop", "--json").stdout)
    assert (letter["queue"], letter["id"]) == ("orders", "two")
    assert letter["reason"] == "RetriesExhausted after 1 attempt: ValueError"
    assert fnframe("dlq", "redrive", "shop", letter["handle"]).stdout == "orders: 1 dead letter redriven\n"
    run.read_until("message two lies among the dead letters")
    assert run.end() == 0
    assert not any("ordered 3" in line for line in run.lines)
    assert fnframe("dlq", "purge", "shop", "--all").stdout == "orders: 1 dead letter purged\n"
