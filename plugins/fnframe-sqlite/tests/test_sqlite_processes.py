"""Several processes on one file: what one is killed over is not lost, and none is left without its share."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import time
from collections import Counter, defaultdict

import pytest

from fnframe import EngineFailed
from fnframe.clock import SystemClock
from fnframe.engine.protocol import Message

pytestmark = pytest.mark.anyio

DICE = random.Random()  # noqa: S311


def read_until(process, word, lines):
    """Read what a program tells up to the next line that begins with this word."""
    while True:
        lines.append(process.stdout.readline())
        assert lines[-1], "it has ended"
        if lines[-1].startswith(word):
            return


def told(lines):
    """What the programs told, by the first word of the line; of a line that was cut off nothing."""
    found = defaultdict(list)
    for line in lines:
        if line.endswith("\n"):
            word, *rest = line.split()
            found[word].append(rest)
    return found


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_was_accepted_survives_who_is_killed(make, program, anyio_backend):
    """Producers and consumers are killed at random moments: what was accepted comes, in the order of its group, with
    its whole body; and only what somebody had when he was killed comes twice."""
    lines = []
    for kill in range(4):
        processes = [program("producer", f"p{kill}"), program("consumer", "forever")]
        if kill % 2:
            processes.append(program("producer", f"q{kill}"))
        for _ in range(20):  # However slow the machine is, something was accepted before anybody is killed.
            read_until(processes[0], "accepted", lines)
        time.sleep(DICE.uniform(0.0, 0.25))
        for process in DICE.sample(processes, len(processes)):
            process.kill()
            time.sleep(DICE.uniform(0.0, 0.005))
        for process in processes:
            lines += process.stdout.readlines()
            process.wait()
    before = told(lines)
    accepted = {id_ for (id_,) in before["accepted"]}
    assert len(accepted) > 50
    # Their leases run out by the programs' own clock, the machine's.
    rest = program("consumer", "all")
    lines += rest.stdout.readlines()
    assert rest.wait() == 0
    every = told(lines)
    had = Counter(id_ for id_, *_ in every["has"])
    assert accepted - set(had) == set(), "what was accepted, and never came"
    assert set(had) <= {id_ for (id_,) in before["begins"]}
    deliveries = Counter((id_, lost) for id_, lost, _ in every["has"])
    assert max(deliveries.values()) == 1, "lent to two at a time: each delivery that ended without a word is counted"
    order = defaultdict(list)
    for id_, _, size in every["has"]:
        assert int(size) == (70_000 if int(id_[-5:]) % 20 == 7 else 50)
        order[id_[:-6]].append(id_)
    for lane, ids in order.items():
        first = list(dict.fromkeys(ids))
        assert int(lane[-1]) % 2 == 0 or first == sorted(first), "the order of a group"
    async with make(clock=SystemClock()) as engine:
        assert (await engine.queue("q").statistics())[:4] == (0, 0, 0, 0)
        stream, published = engine.stream("s"), set()
        for partition in range(stream.partitions):
            order = defaultdict(list)
            for record in await stream.read(partition, 0, 1_000_000):
                order[record.key].append(record.id)
                published.add(record.id)
            assert all(ids == sorted(ids) for ids in order.values()), "the order of a key"
    assert {id_ for (id_,) in before["published"]} <= published


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_the_dead_held_is_free_when_the_file_is_opened_and_nobody_else_uses_it(make, program, anyio_backend):
    async with make(clock=SystemClock()) as engine:
        await engine.queue("q").send([Message("a", b"")])
        keeper = program("keeper")
        assert keeper.stdout.readline().startswith("holds 1 ")
        keeper.kill()
        keeper.wait()
        async with make(clock=SystemClock()) as second:  # It is not alone: the first may be who holds it.
            assert await second.queue("q").receive(1, 30, wait=0) == []
    async with make(clock=SystemClock()) as engine:
        (lease,) = await engine.queue("q").receive(1, 30, wait=0)
        assert (lease.message.id, lease.message.lost) == ("a", 1)
        stream = engine.stream("s")
        assert len(await stream.claim("group", "one", 100, 30)) == stream.partitions
        assert await stream.join("group", "one", 30) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_processes_share_what_is_there(make, program, anyio_backend):
    async with make() as engine:
        queue = engine.queue("q")
        sharers = [program("sharer") for _ in range(3)]
        for sharer in sharers:
            assert sharer.stdout.readline() == "ready\n"
        for number in range(150):
            await queue.send([Message(str(number), b"")])
    counts = [int(sharer.stdout.readline()) for sharer in sharers]
    assert sum(counts) == 150
    assert min(counts) >= 10, counts


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_that_stands_in_line_and_does_not_come_holds_up_nobody(make, program, tmp_path, anyio_backend):
    """A process that is stopped while it stands first in line, and one that was killed there: what comes is had by
    those behind it."""
    stopped, killed = program("sharer"), program("sharer")
    for sharer in (stopped, killed):
        assert sharer.stdout.readline() == "ready\n"
    async with make() as engine:
        queue = engine.queue("q")
        while len(await waiting(engine)) < 2:
            time.sleep(0.005)
        stop_at_rest(stopped, tmp_path / "engine.db.d" / "lock")
        killed.kill()
        killed.wait()
        await queue.send([Message("a", b"")])
        (lease,) = await queue.receive(1, 30)
        assert lease.message.id == "a"
        assert await waiting(engine) == []
        await lease.ack()
        stopped.send_signal(signal.SIGCONT)
        while not await waiting(engine):
            time.sleep(0.005)
        await queue.send([Message("b", b"")])
    assert stopped.stdout.readline() == "1\n"


def stop_at_rest(process, lock):
    """Stop a process while it holds no lock: one that is stopped with it holds up everybody until it goes on."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with open(lock) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                process.send_signal(signal.SIGCONT)
            else:
                return


async def waiting(engine):
    """Which engines stand in line, as the file has it."""
    from fnframe_sqlite.request import Request

    return await engine._writer.ask(Request(lambda tx: tx.rows("SELECT engine FROM waiting"), writes=False))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_that_is_stopped_with_the_lock_is_told_of(make, tmp_path, monkeypatch, anyio_backend):
    """Nobody waits for ever for a process that was stopped in the middle; when it goes on, so does everybody."""
    monkeypatch.setattr("fnframe_sqlite.database.PATIENCE", 0.1)
    async with make() as engine:
        queue = engine.queue("q")
        await queue.send([Message("a", b"")])
        with open(tmp_path / "engine.db.d" / "turn") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with pytest.raises(EngineFailed, match="or let it go on if it was stopped"):
                await queue.send([Message("b", b"")])
        assert await queue.send([Message("b", b"")]) == [True]
