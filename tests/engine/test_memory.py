"""The engine `memory:`: its state file. What every engine does is checked by the obligations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fnframe import ConfigurationError
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import EngineOptions, Message
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    return ManualClock()


def engine_of(clock, file=None):
    return MemoryEngine(EngineOptions(directory=Path(), clock=clock), state_file=file)


async def put(queue: Any, name: str, body: bytes, *, delay: float = 0.0) -> bool:
    (is_new,) = await queue.send([Message(name, body)], delay=delay)
    return is_new


def ids(leases: list[Any]) -> list[str]:
    return [lease.message.id for lease in leases]


async def test_the_state_file_keeps_all_that_is_not_done(clock, tmp_path):
    file = tmp_path / "deep" / "state"
    async with engine_of(clock, file) as engine:
        queue = engine.queue("orders")
        for name in ("done", "leased", "delayed", "waiting"):
            await put(queue, name, name.encode())
        done, leased, delayed = await queue.receive(3, 30)
        async with done:
            await done.ack()
        async with delayed:
            await delayed.release(5.0, counted=True)
        assert ids([leased]) == ["leased"]
        await engine.state("files").put("key", b"\x00\xff")
    async with engine_of(clock, file) as engine:
        clock.advance(5)
        messages = {lease.message.id: lease.message for lease in await engine.queue("orders").receive(10, 30)}
        assert set(messages) == {"leased", "delayed", "waiting"}
        assert {name: message.body for name, message in messages.items()} == {name: name.encode() for name in messages}
        assert {name: message.attempt for name, message in messages.items()} == {
            "leased": 1,
            "delayed": 2,
            "waiting": 1,
        }
        assert await engine.state("files").items() == [("key", b"\x00\xff")]
        assert not await put(engine.queue("orders"), "waiting", b""), "it was accepted before"
    assert [path.name for path in file.parent.iterdir()] == ["state"], "no half-written file stays"


async def test_without_a_state_file_nothing_is_written(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with engine_of(clock) as engine:
        await put(engine.queue("a"), "1", b"")
    assert list(tmp_path.iterdir()) == []


async def test_a_state_file_that_does_not_exist_is_a_new_beginning(clock, tmp_path):
    async with engine_of(clock, tmp_path / "state") as engine:
        assert await engine.queues() == []
    async with engine_of(clock, tmp_path / "state") as engine:
        assert await engine.queues() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\x80",
        b"\x82\xa6queues\x80\xa6states\x05",
        b"\x82\xa6queues\x80\xa6states\x81\xa1\xff\x80",  # A name that is no UTF-8.
    ],
)
async def test_a_damaged_state_file_is_refused_and_left_alone(clock, tmp_path, content):
    file: Path = tmp_path / "state"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        async with engine_of(clock, file):
            pass
    assert caught.value.where == str(file)
    assert "not a state file of this release" in str(caught.value)
    assert "remove it to begin anew" in str(caught.value)
    assert file.read_bytes() == content


async def test_a_state_file_that_was_cut_off_is_refused(clock, tmp_path):
    file: Path = tmp_path / "state"
    async with engine_of(clock, file) as engine:
        await put(engine.queue("orders"), "a", b"x" * 100)
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(ConfigurationError, match="not a state file"):
            async with engine_of(clock, file):
                pass
