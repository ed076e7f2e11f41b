"""`fnframe run` with a queue and a stream: what is sent beside it, and what its ends leave to the next run."""

from __future__ import annotations

import json
import signal

APP = """
import time
from pathlib import Path
from fnframe import App, Batch
from fnframe_queue import Queue
from fnframe_stream import Stream

app = App("shop")
HERE = Path(__file__).parent


@app.function(Queue("orders", batch_size=1, maximum_concurrency=1), timeout=30)
def bill(order: dict):
    print("billing", order["n"])
    while not (HERE / "gate").exists():
        time.sleep(0.005)
    print("billed", order["n"])


@app.function(Stream("clicks"))
def count(batch: Batch):
    print("counted", [record.data["n"] for record in batch])
"""


def send(fnframe, target, n, *options):
    done = fnframe("send", "app.py", target, "--data", json.dumps({"n": n}), *options)
    assert done.returncode == 0, done.stderr


def test_a_run_ends_in_order_and_the_next_one_goes_on(fnframe, start, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    for n in range(3):
        send(fnframe, "orders", n)
    send(fnframe, "stream:clicks", 7, "--key", "k")
    service = start("run", "app.py")
    service.read_until("running shop", "billing 0", "counted [7]")
    service.process.send_signal(signal.SIGTERM)
    service.read_until("ending: what runs has 10 s to finish")
    (tmp_path / "gate").touch()
    service.read_until("fnframe: ended")
    assert service.process.wait(30) == 0
    told = "".join(service.lines)
    assert "billed 0" in told
    assert "billing 1" not in told, "an app that ends takes no more"
    done = fnframe("run", "app.py", "--until-idle")
    assert (done.returncode, done.stdout.count("billed")) == (0, 2), done.stdout + done.stderr
    assert "counted" not in done.stdout


def test_a_second_signal_loses_nothing(fnframe, start, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    send(fnframe, "orders", 0)
    service = start("run", "app.py")
    service.read_until("running shop", "billing 0")
    service.process.send_signal(signal.SIGTERM)
    service.read_until("ending: what runs has 10 s to finish")
    assert service.end() == 128 + signal.SIGTERM
    assert "Invocation.Cancelled" in "".join(service.lines), "which is no failure of the function"
    (tmp_path / "gate").touch()
    done = fnframe("run", "app.py", "--until-idle")
    assert (done.returncode, done.stdout.count("billed 0")) == (0, 1), done.stdout + done.stderr
