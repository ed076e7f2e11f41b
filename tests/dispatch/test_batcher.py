"""Batches are cut in order: by size, by time, by bytes; a group waits for its batch; nothing is forgotten."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnframe.dispatch.queues.batcher import OVERHEAD, Batcher
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import EngineOptions, Message
from fnframe.testing.clock import ManualClock


def leases(*groups: str | None, size: int = 0, lost: int = 0) -> list:
    """Leases of real messages, one for each group that is named."""

    async def receive() -> list:
        queue = MemoryEngine(EngineOptions(directory=Path())).queue("q")
        messages = [Message(str(number), b"x" * size, group) for number, group in enumerate(groups)]
        await queue.send(messages)
        received = list(await queue.receive(100, 30, wait=0))
        if lost:
            for lease in received:
                await lease.release(0.0, counted=True, lost=True)
            received = list(await queue.receive(100, 30, wait=0))
        return sorted(received, key=lambda lease: int(lease.message.id))

    return anyio.run(receive)


def ids(batch: list) -> list[str]:
    return [lease.message.id for lease in batch]


def test_a_batch_is_cut_when_it_is_full_or_has_waited_long_enough():
    clock = ManualClock()
    batcher = Batcher(clock, 3, window=5.0)
    received = leases(*[None] * 4)
    batcher.add(received[:2])
    assert not batcher
    assert batcher.next_due() == clock.monotonic() + 5
    clock.advance(2)
    batcher.add(received[2:])
    assert batcher
    assert ids(batcher.take()) == ["0", "1", "2"]
    assert not batcher
    clock.advance(5)
    assert batcher
    assert ids(batcher.take()) == ["3"]
    assert batcher.next_due() == float("inf")
    assert batcher.waiting == 0


def test_a_batch_is_cut_before_it_is_too_large():
    batcher = Batcher(ManualClock(), 10, window=60.0, largest=2.5 * (100 + OVERHEAD))
    received = leases(*[None] * 5, size=100)
    batcher.add(received[:2])
    assert not batcher
    batcher.add(received[2:])
    assert ids(batcher.take()) == ["0", "1"]
    assert ids(batcher.take()) == ["2", "3"]
    assert not batcher, "the last one may still be joined by others"


def test_one_that_is_too_large_by_itself_is_a_batch():
    batcher = Batcher(ManualClock(), 10, largest=50)
    batcher.add(leases(None, None, size=100))
    assert [ids(batcher.take()), ids(batcher.take())] == [["0"], ["1"]]


def test_a_group_waits_for_its_batch():
    batcher = Batcher(ManualClock(), 2)
    batcher.add(leases("a", "a", "a", "b", None))
    first = batcher.take()
    assert ids(first) == ["0", "1"]
    second = batcher.take()
    assert ids(second) == ["3", "4"]
    assert not batcher
    assert (batcher.waiting, batcher.ready) == (1, 0)
    assert batcher.done(second) == []
    assert not batcher
    assert batcher.done(first) == []
    assert ids(batcher.take()) == ["2"]


def test_what_waits_behind_a_group_that_failed_is_given_back():
    batcher = Batcher(ManualClock(), 1)
    batcher.add(leases("a", "a", "a"))
    batch = batcher.take()
    assert ids(batcher.done(batch, {"a"})) == ["1", "2"]
    assert (batcher.waiting, bool(batcher)) == (0, False)


def test_what_must_be_alone_is():
    batcher = Batcher(ManualClock(), 4, window=60.0, alone=lambda lease: lease.message.lost > 0)
    batcher.add(leases(None, None, lost=1))
    assert [ids(batcher.take()), ids(batcher.take())] == [["0"], ["1"]], "and waits for nobody"
    batcher.add(leases(None, None))
    batcher.add(leases(None, lost=1))
    assert not batcher
    batcher.add(leases(None))
    assert [ids(batcher.take()), ids(batcher.take())] == [["0", "1"], ["0"]], "it is no part of the batch before it"
    assert not batcher
    assert batcher.waiting == 1


@given(
    st.lists(st.sampled_from(["a", "b", None]), max_size=20),
    st.integers(1, 5),
    st.lists(st.sampled_from(["take", "done", "fail"]), max_size=40),
)
def test_nothing_is_forgotten_or_taken_out_of_turn(groups, size, steps):
    batcher = Batcher(ManualClock(), size)
    received = leases(*groups)
    batcher.add(received)
    running: list[list] = []
    seen: dict[str, list[int]] = {"a": [], "b": []}
    gone: list[str] = []
    for step in steps:
        if step == "take" and batcher:
            batch = batcher.take()
            assert 0 < len(batch) <= size
            in_progress = {lease.message.group for other in running for lease in other} - {None}
            assert not in_progress & {lease.message.group for lease in batch}, "a group runs once at a time"
            for lease in batch:
                if lease.message.group is not None:
                    seen[lease.message.group].append(int(lease.message.id))
            running.append(batch)
        elif step != "take" and running:
            batch = running.pop(0)
            failed = {lease.message.group for lease in batch} - {None} if step == "fail" else set()
            gone += ids(batch) + ids(batcher.done(batch, failed))
    gone += [id_ for batch in running for id_ in ids(batch)] + ids(batcher.clear())
    assert sorted(gone) == sorted(ids(received))
    assert batcher.waiting == 0
    for order in seen.values():
        assert order == sorted(order)


@pytest.mark.parametrize("window", [0.0, 5.0])
def test_an_empty_batcher_has_nothing(window):
    batcher = Batcher(ManualClock(), 3, window=window)
    assert not batcher
    assert batcher.clear() == []
