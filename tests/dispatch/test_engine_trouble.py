"""An engine that cannot write for a while, in the middle of a batch: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest
from facts import until
from fnframe_sqlite import SqliteEngine
from hosts import event_of, running

from fnframe import App, Batch, EngineFailed, QueueTrigger, StreamTrigger
from fnframe.clock import SystemClock
from fnframe.engine.protocol import REPORTS, EngineOptions

pytestmark = pytest.mark.anyio


class Orders(QueueTrigger, frozen=True):
    async def run(self, mapping: Any, *, task_status: Any) -> None:
        await mapping.poll(mapping.queue("orders"), task_status=task_status)


class Clicks(StreamTrigger, frozen=True):
    async def run(self, mapping: Any, *, task_status: Any) -> None:
        await mapping.poll(mapping.stream("clicks"), task_status=task_status)


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """No file may grow beyond what the log of the database has."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "engine.db-wal").stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program has a transaction open."""
    connection = apsw.Connection(str(folder / "engine.db"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(("trouble", "told"), [(full_disk, "no space left"), (locked, "kept the engine's file locked")])
async def test_what_ran_meanwhile_is_settled_when_it_is_over(tmp_path, monkeypatch, caplog, trouble, told):
    monkeypatch.setattr("fnframe_sqlite.database.PATIENCE", 0.05)
    gate = anyio.Event()
    begun: list[list[Any]] = []
    app = App("troubled")

    @app.function(Orders(), Clicks(), isolation="inline", timeout=60.0)
    async def handle(batch: Batch) -> None:
        begun.append([record.data for record in batch])
        await gate.wait()

    @app.function(isolation="inline", timeout=60.0)
    async def alone(data: Any) -> None:
        begun.append([data])
        await gate.wait()

    async with SqliteEngine("sqlite:///engine.db", EngineOptions(directory=tmp_path, stream_partitions=1)) as engine:
        async with running(app, engine, SystemClock()) as host:
            await host.queue("orders").send("order")
            await host.stream("clicks").publish("click", key="k")
            await host.acceptance.enqueue("alone", event_of("event"), trigger="t")
            await until(lambda: len(begun) == 3)
            with trouble(tmp_path):
                gate.set()
                await until(lambda: caplog.text.count("trying again in") >= 3)
                with pytest.raises(EngineFailed, match=told):
                    await host.queue("orders").send("refused")
            await host.queue("orders").send("later")
            await host.drained()
        assert sorted(begun) == [["click"], ["event"], ["later"], ["order"]]
        assert len(await engine.stream(REPORTS).read(0, 0, 10)) == 4
    for what in ("queue 'orders': an acknowledgement", "queue 'function:alone': an acknowledgement", ": a checkpoint"):
        assert f"{what} failed (EngineFailed: " in caplog.text


async def test_the_end_of_an_app_does_not_fail_by_what_cannot_be_given_back(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("fnframe_sqlite.database.PATIENCE", 0.02)
    app = App("troubled")

    @app.function(Clicks(), isolation="inline")
    async def handle(batch: Batch) -> None: ...

    async with SqliteEngine("sqlite:///engine.db", EngineOptions(directory=tmp_path, stream_partitions=1)) as engine:
        async with running(app, engine, SystemClock()) as host:
            await host.stream("clicks").publish("click", key="k")
            await host.drained()
            with locked(tmp_path):
                await host.stop(0.1)
    assert "clicks:clicks: partition 0 could not be given back (EngineFailed: " in caplog.text
    assert "clicks:clicks: that nobody reads it here any more could not be told (EngineFailed: " in caplog.text
