"""Large bodies lie beside the rows, as long as their messages, and no longer."""

from __future__ import annotations

import logging
import os

import pytest

from fnframe import QueueFull
from fnframe.engine.protocol import Message, Record

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 300


@pytest.fixture
def files(tmp_path):
    return lambda: sorted(path.name for path in (tmp_path / "engine.db.d" / "bodies").iterdir())


async def test_a_large_body_is_a_file_until_its_message_is_done(make, files):
    async with make() as engine:
        queue = engine.queue("q")
        await queue.send([Message("small", b"x" * 65_536), Message("large", LARGE)])
        assert len(files()) == 1
        await queue.send([Message("large", LARGE)])
        assert len(files()) == 1, "of a duplicate nothing is kept"
        _, large = await queue.receive(2, 30)
        assert large.message.body == LARGE
        await large.release(0.0, counted=True)
        (large,) = await queue.receive(1, 30)
        assert (large.message.body, len(files())) == (LARGE, 1)
        await large.bury("dead")
        (letter,) = await queue.dead_letters()
        assert (letter.message.body, len(files())) == (LARGE, 1)
        await queue.redrive(["large"])
        (large,) = await queue.receive(1, 30)
        assert large.message.body == LARGE
        await large.ack()
        assert files() == []


async def test_what_is_purged_or_replaced_leaves_no_file(make, files, clock):
    async with make() as engine:
        queue = engine.queue("q")
        for _ in range(2):
            await queue.send([Message("large", LARGE)])
            (lease,) = await queue.receive(1, 30)
            await lease.bury("dead")
            clock.advance(4000)
        assert len(files()) == 1
        await queue.purge(["large"])
        assert files() == []


async def test_what_is_refused_leaves_no_file(make, files):
    async with make(queue_bound=1) as engine:
        queue = engine.queue("q")
        with pytest.raises(QueueFull):
            await queue.send([Message("a", LARGE), Message("b", LARGE)])
        assert files() == []


async def test_records_are_dropped_with_their_files(make, files, monkeypatch):
    monkeypatch.setattr("fnframe_sqlite.records.DROPPED_AT_ONCE", 4)
    async with make(stream_records=2, stream_partitions=1) as engine:
        stream = engine.stream("s")
        for number in range(8):
            await stream.publish([Record("key", LARGE + bytes([number]))])
        assert [record.body[-1] for record in await stream.read(0, 0, 10)] == [6, 7]
        assert len(files()) == 2


async def test_a_body_that_is_gone_buries_its_message(make, tmp_path, files, caplog):
    async with make() as engine:
        queue = engine.queue("q")
        await queue.send([Message("gone", LARGE), Message("there", LARGE)])
        lease, other = await queue.receive(2, 30)
        await other.release(0.0, counted=False)
        await lease.release(0.0, counted=False)
        # Which file is whose is the engine's business: both go.
        for name in files():
            (tmp_path / "engine.db.d" / "bodies" / name).unlink()
        await queue.send([Message("after", b"")])
        with caplog.at_level(logging.ERROR):
            leases = await queue.receive(3, 30)
        assert [lease.message.id for lease in leases] == ["after"]
        assert "the body of message gone is gone" in caplog.text
        assert {letter.reason[:17] for letter in await queue.dead_letters()} == {"its body is gone:"}


async def test_orphans_are_swept_and_what_is_needed_or_young_is_not(make, tmp_path, files):
    async with make() as engine:
        await engine.queue("q").send([Message("large", LARGE)])
        await engine.stream("s").publish([Record("key", LARGE)])
        dead = engine.queue("dead")
        await dead.send([Message("large", LARGE)])
        (lease,) = await dead.receive(1, 30)
        await lease.bury("dead")
    needed = files()
    assert len(needed) == 3
    bodies = tmp_path / "engine.db.d" / "bodies"
    (bodies / "old").touch()
    (bodies / "young").touch()
    for name in [*needed, "old"]:
        os.utime(bodies / name, (1_000_000, 1_000_000))
    async with make() as engine:
        await engine.state("s").put("key", b"")
        assert files() == sorted([*needed, "young"])


async def test_a_body_that_was_taken_for_an_orphan_before_its_message_came_is_written_again(
    make, tmp_path, monkeypatch
):
    """A process that slept for hours between the two: its file is gone, and its send begins anew."""
    async with make() as engine:
        keep = engine._writer.bodies.keep
        written = []

        async def keep_and_lose_once(body):
            written.append(await keep(body))
            if len(written) == 1:
                (tmp_path / "engine.db.d" / "bodies" / written[0]).unlink()
            return written[-1]

        monkeypatch.setattr(engine._writer.bodies, "keep", keep_and_lose_once)
        await engine.queue("q").send([Message("large", LARGE)])
        assert len(written) == 2
        (lease,) = await engine.queue("q").receive(1, 30)
        assert lease.message.body == LARGE
