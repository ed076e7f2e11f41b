"""The engine `memory:`: what is accepted once is lent to one at a time until it is done, and survives a clean end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from fnframe import ConfigurationError, QueueFull
from fnframe.engine.memory import DUPLICATE_WINDOW, MemoryEngine
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def queue(clock):
    return MemoryEngine(clock=clock).queue("orders")


async def received(queue: Any, most: int = 10, seconds: float = 30.0) -> list[Any]:
    """What can be received now, without waiting."""
    with anyio.move_on_after(0):
        return list(await queue.receive(most, seconds))
    return []


def ids(leases: list[Any]) -> list[str]:
    return [lease.message.id for lease in leases]


async def counts(queue: Any) -> tuple[int, int, int]:
    statistics = await queue.statistics()
    assert statistics.total == sum(statistics)
    return tuple(statistics)


async def test_in_the_order_of_acceptance_with_what_was_sent(queue, clock):
    for name in "abc":
        assert await queue.send(name, name.encode())
    assert await counts(queue) == (3, 0, 0)
    leases = await queue.receive(2, 30)
    assert [(lease.message.id, lease.message.body) for lease in leases] == [("a", b"a"), ("b", b"b")]
    assert [(lease.message.accepted, lease.message.attempt) for lease in leases] == [(clock.time(), 1)] * 2
    assert await counts(queue) == (1, 0, 2)
    assert ids(await queue.receive(10, 30)) == ["c"]


async def test_what_is_acknowledged_is_done(queue, clock):
    await queue.send("a", b"")
    (lease,) = await queue.receive(1, 30)
    async with lease:
        await lease.ack()
    assert await counts(queue) == (0, 0, 0)
    clock.advance(1000)
    assert await received(queue) == []


async def test_what_is_neither_acknowledged_nor_released_comes_back_as_it_was(queue):
    await queue.send("a", b"")
    (lease,) = await queue.receive(1, 30)
    with pytest.raises(ValueError, match="handler"):
        async with lease:
            raise ValueError("handler")
    (again,) = await received(queue)
    assert again.message == lease.message


@pytest.mark.parametrize(("counted", "attempt"), [(True, 2), (False, 1)])
async def test_release_brings_it_back_after_its_delay(queue, clock, counted, attempt):
    await queue.send("a", b"body")
    (lease,) = await queue.receive(1, 30)
    accepted = clock.time()
    async with lease:
        await lease.release(5.0, counted=counted)
    assert await counts(queue) == (0, 1, 0)
    clock.advance(4.9)
    assert await received(queue) == []
    clock.advance(0.1)
    (again,) = await received(queue)
    assert (again.message.id, again.message.body, again.message.attempt) == ("a", b"body", attempt)
    assert again.message.accepted == accepted


async def test_release_without_delay_brings_it_back_at_once(queue):
    await queue.send("a", b"")
    await queue.send("b", b"")
    (lease,) = await queue.receive(1, 30)
    async with lease:
        await lease.release(0.0, counted=True)
    assert ids(await queue.receive(10, 30)) == ["b", "a"]


async def test_a_message_may_be_sent_to_come_later(queue, clock):
    await queue.send("late", b"", delay=10.0)
    await queue.send("later", b"", delay=20.0)
    await queue.send("now", b"")
    assert await counts(queue) == (1, 2, 0)
    assert ids(await received(queue)) == ["now"]
    clock.advance(20)
    assert ids(await received(queue)) == ["late", "later"]


async def test_an_id_is_accepted_once_within_the_window(queue, clock):
    assert await queue.send("a", b"first")
    assert not await queue.send("a", b"second")
    (lease,) = await queue.receive(1, 30)
    assert not await queue.send("a", b"while it is leased")
    async with lease:
        await lease.ack()
    clock.advance(DUPLICATE_WINDOW - 1)
    assert not await queue.send("a", b"when it is done")
    clock.advance(2)
    assert await queue.send("a", b"again")
    assert [lease.message.body for lease in await received(queue)] == [b"again"]


async def test_the_bound_counts_all_that_is_not_done(clock):
    queue = MemoryEngine(bound=3, clock=clock).queue("orders")
    await queue.send("a", b"")
    (lease,) = await queue.receive(1, 30)
    await queue.send("b", b"", delay=5)
    await queue.send("c", b"")
    with pytest.raises(QueueFull, match="the queue 'orders' holds 3 events") as caught:
        await queue.send("d", b"")
    assert (caught.value.queue, caught.value.bound) == ("orders", 3)
    assert not await queue.send("c", b""), "a duplicate is no new message"
    async with lease:
        await lease.ack()
    assert await queue.send("d", b""), "what was refused was not accepted: it may come again"


async def test_receive_waits_for_a_message(queue):
    got = []

    async def receive():
        got.extend(await queue.receive(5, 30))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            assert got == []
            await queue.send("a", b"")
    assert ids(got) == ["a"]


async def test_receive_waits_for_a_moment(queue, clock):
    await queue.send("a", b"", delay=7.0)
    got = []

    async def receive():
        got.extend(await queue.receive(5, 30))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            assert clock.next_moment() == clock.time() + 7.0
            clock.advance(6)
            await anyio.wait_all_tasks_blocked()
            assert got == []
            clock.advance(1)
    assert ids(got) == ["a"]


async def test_receive_wakes_for_what_comes_sooner_than_what_it_waits_for(queue, clock):
    await queue.send("late", b"", delay=100.0)
    got = []

    async def receive():
        got.extend(await queue.receive(5, 30))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await queue.send("soon", b"", delay=1.0)
            await anyio.wait_all_tasks_blocked()
            clock.advance(1)
    assert ids(got) == ["soon"]


async def test_two_may_wait_and_each_gets_one(queue):
    """Whoever waits second must not make the first deaf: he heard of no message for an hour."""
    got = []

    async def receive():
        got.extend(await queue.receive(1, 30))

    with anyio.move_on_after(2):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            for name in "abc":
                await queue.send(name, b"")
    assert sorted(ids(got)) == ["a", "b", "c"]


async def test_who_stops_waiting_takes_nothing_along(queue):
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.receive, 1, 30)
            await anyio.wait_all_tasks_blocked()
            await queue.send("a", b"")
            scope.cancel()
    waiting, _, leased = await counts(queue)
    assert waiting + leased == 1
    if waiting:
        assert ids(await received(queue)) == ["a"]


async def test_a_lease_that_runs_out_comes_back(queue, clock):
    await queue.send("a", b"")
    await queue.receive(1, 30)
    clock.advance(29)
    assert await received(queue) == []
    clock.advance(1)
    (again,) = await received(queue)
    assert (again.message.id, again.message.attempt) == ("a", 1)


async def test_a_lease_that_is_extended_does_not_run_out(queue, clock):
    await queue.send("a", b"")
    (lease,) = await queue.receive(1, 30)
    for _ in range(5):
        clock.advance(20)
        await lease.extend(30)
    assert await received(queue) == []
    async with lease:
        await lease.ack()
    clock.advance(100)
    assert await received(queue) == []


async def lent_again(queue: Any, clock: ManualClock) -> tuple[Any, Any]:
    """A lease that ran out, and the one that another now holds for the same message."""
    await queue.send("a", b"")
    (late,) = await queue.receive(1, 30)
    clock.advance(30)
    (current,) = await received(queue)
    assert await counts(queue) == (0, 0, 1)
    return late, current


async def test_a_late_release_takes_nothing_from_who_holds_it_now(queue, clock):
    """A lease that ran out is not its holder's any more: its release gave the message to a third one, while the
    second still worked on it."""
    late, current = await lent_again(queue, clock)
    async with late:
        await late.release(0.0, counted=True)
    assert await received(queue) == []
    async with current:
        await current.ack()
    assert await counts(queue) == (0, 0, 0)


async def test_a_late_exit_takes_nothing_from_who_holds_it_now(queue, clock):
    late, current = await lent_again(queue, clock)
    async with late:
        pass
    assert await received(queue) == []
    async with current:
        await current.ack()
    assert await counts(queue) == (0, 0, 0)


async def test_a_late_extension_does_not_lengthen_anothers_lease(queue, clock):
    late, _ = await lent_again(queue, clock)
    await late.extend(1000)
    clock.advance(30)
    assert ids(await received(queue)) == ["a"]


async def test_a_late_end_of_what_was_settled_does_nothing(queue, clock):
    late, current = await lent_again(queue, clock)
    async with current:
        await current.ack()
    async with late:
        await late.release(0.0, counted=True)
    assert await counts(queue) == (0, 0, 0)


async def test_a_queue_is_known_by_its_name(clock):
    engine = MemoryEngine(clock=clock)
    assert engine.queue("a") is engine.queue("a")
    await engine.queue("a").send("1", b"")
    await engine.queue("b").send("1", b"")
    engine.queue("empty")
    assert sorted(await engine.queues()) == ["a", "b"]
    (lease,) = await received(engine.queue("a"))
    assert sorted(await engine.queues()) == ["a", "b"]
    async with lease:
        await lease.ack()
    assert await engine.queues() == ["b"]


async def test_state(clock):
    engine = MemoryEngine(clock=clock)
    state = engine.state("files")
    assert await state.get("a") is None
    await state.put("b/2", b"two")
    await state.put("a", b"")
    await state.put("b/1", b"one")
    assert await state.get("a") == b""
    assert await state.items() == [("a", b""), ("b/1", b"one"), ("b/2", b"two")]
    assert await state.items("b/") == [("b/1", b"one"), ("b/2", b"two")]
    await state.delete("a")
    await state.delete("a")
    assert await state.get("a") is None
    assert await engine.state("files").get("b/1") == b"one"
    assert await engine.state("other").items() == []


async def test_compare_and_set(clock):
    state = MemoryEngine(clock=clock).state("cron")
    assert not await state.compare_and_set("a", b"1", b"2")
    assert await state.get("a") is None
    assert await state.compare_and_set("a", None, b"1")
    assert not await state.compare_and_set("a", None, b"2")
    assert not await state.compare_and_set("a", b"0", b"2")
    assert await state.get("a") == b"1"
    assert await state.compare_and_set("a", b"1", b"2")
    assert await state.get("a") == b"2"
    await state.put("empty", b"")
    assert not await state.compare_and_set("empty", None, b"x")
    assert await state.compare_and_set("empty", b"", b"x")


async def test_of_many_that_compare_one_sets(clock):
    state = MemoryEngine(clock=clock).state("cron")
    won = []

    async def tries(number):
        if await state.compare_and_set("leader", None, str(number).encode()):
            won.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(tries, number)
    assert len(won) == 1
    assert await state.get("leader") == str(won[0]).encode()


async def test_the_state_file_keeps_all_that_is_not_done(clock, tmp_path):
    file = tmp_path / "deep" / "state"
    async with MemoryEngine(clock=clock, state_file=file) as engine:
        queue = engine.queue("orders")
        for name in ("done", "leased", "delayed", "waiting"):
            await queue.send(name, name.encode())
        done, leased, delayed = await queue.receive(3, 30)
        async with done:
            await done.ack()
        async with delayed:
            await delayed.release(5.0, counted=True)
        assert ids([leased]) == ["leased"]
        await engine.state("files").put("key", b"\x00\xff")
    async with MemoryEngine(clock=clock, state_file=file) as engine:
        clock.advance(5)
        messages = {lease.message.id: lease.message for lease in await received(engine.queue("orders"))}
        assert set(messages) == {"leased", "delayed", "waiting"}
        assert {name: message.body for name, message in messages.items()} == {name: name.encode() for name in messages}
        assert {name: message.attempt for name, message in messages.items()} == {
            "leased": 1,
            "delayed": 2,
            "waiting": 1,
        }
        assert await engine.state("files").items() == [("key", b"\x00\xff")]
        assert not await engine.queue("orders").send("waiting", b""), "it was accepted before"
    assert [path.name for path in file.parent.iterdir()] == ["state"], "no half-written file stays"


async def test_without_a_state_file_nothing_is_written(clock, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with MemoryEngine(clock=clock) as engine:
        await engine.queue("a").send("1", b"")
    assert list(tmp_path.iterdir()) == []


async def test_a_state_file_that_does_not_exist_is_a_new_beginning(clock, tmp_path):
    async with MemoryEngine(clock=clock, state_file=tmp_path / "state") as engine:
        assert await engine.queues() == []
    async with MemoryEngine(clock=clock, state_file=tmp_path / "state") as engine:
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
        async with MemoryEngine(clock=clock, state_file=file):
            pass
    assert caught.value.where == str(file)
    assert "not a state file of this release" in str(caught.value)
    assert "remove it to begin anew" in str(caught.value)
    assert file.read_bytes() == content


async def test_a_state_file_that_was_cut_off_is_refused(clock, tmp_path):
    file: Path = tmp_path / "state"
    async with MemoryEngine(clock=clock, state_file=file) as engine:
        await engine.queue("orders").send("a", b"x" * 100)
    whole = file.read_bytes()
    for size in range(0, len(whole), 7):
        file.write_bytes(whole[:size])
        with pytest.raises(ConfigurationError, match="not a state file"):
            async with MemoryEngine(clock=clock, state_file=file):
                pass


class QueueMachine(RuleBasedStateMachine):
    """A queue against a model of it: each message is waiting, delayed, lent to one, or done."""

    backend = "asyncio"
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.portal_context = anyio.from_thread.start_blocking_portal(self.backend)
        self.portal = self.portal_context.__enter__()
        self.clock = ManualClock()
        self.queue = self.portal.call(lambda: MemoryEngine(bound=6, clock=self.clock).queue("q"))
        self.seen: set[str] = set()
        self.waiting: set[str] = set()
        self.delayed: dict[str, float] = {}
        self.lent: dict[str, tuple[Any, float]] = {}
        self.attempts: dict[str, int] = {}

    def teardown(self) -> None:
        self.portal_context.__exit__(None, None, None)

    @initialize()
    def begin(self) -> None:
        assert self.portal.call(received, self.queue) == []

    @rule(name=st.sampled_from("abcdefghij"), delay=st.sampled_from([0.0, 0.0, 3.0, 20.0]))
    def send(self, name: str, delay: float) -> None:
        full = len(self.waiting) + len(self.delayed) + len(self.lent) >= 6
        if name not in self.seen and full:
            with pytest.raises(QueueFull):
                self.portal.call(lambda: self.queue.send(name, name.encode(), delay=delay))
            return
        accepted = self.portal.call(lambda: self.queue.send(name, name.encode(), delay=delay))
        assert accepted == (name not in self.seen)
        if accepted:
            self.seen.add(name)
            self.attempts[name] = 1
            self._put(name, delay)

    def _put(self, name: str, delay: float) -> None:
        if delay > 0:
            self.delayed[name] = self.clock.time() + delay
        else:
            self.waiting.add(name)

    @rule(target=leases, most=st.integers(1, 3), seconds=st.sampled_from([5.0, 30.0]))
    def receive(self, most: int, seconds: float) -> Any:
        now = self.clock.time()
        for name in [name for name, moment in self.delayed.items() if moment <= now]:
            del self.delayed[name]
            self.waiting.add(name)
        for name in [name for name, (_, end) in self.lent.items() if end <= now]:
            del self.lent[name]
            self.waiting.add(name)
        got = self.portal.call(received, self.queue, most, seconds)
        assert len(got) == min(most, len(self.waiting)), "what can be had is given"
        for lease in got:
            name = lease.message.id
            assert name in self.waiting, "nothing comes twice while it is lent, done or delayed"
            assert lease.message.body == name.encode()
            assert lease.message.attempt == self.attempts[name]
            self.waiting.remove(name)
            self.lent[name] = (lease, now + seconds)
        return got

    def _held(self, lease: Any) -> bool:
        return self.lent.get(lease.message.id, (None,))[0] is lease

    @rule(leases=consumes(leases))
    def ack(self, leases: list[Any]) -> None:
        async def acknowledge(lease: Any) -> None:
            async with lease:
                await lease.ack()

        for lease in leases:
            self.portal.call(acknowledge, lease)
            if self._held(lease):
                del self.lent[lease.message.id]

    @rule(leases=consumes(leases), delay=st.sampled_from([0.0, 2.0]), counted=st.booleans())
    def release(self, leases: list[Any], delay: float, counted: bool) -> None:
        async def give_back(lease: Any) -> None:
            async with lease:
                await lease.release(delay, counted=counted)

        for lease in leases:
            self.portal.call(give_back, lease)
            if self._held(lease):
                del self.lent[lease.message.id]
                self.attempts[lease.message.id] += counted
                self._put(lease.message.id, delay)

    @rule(leases=consumes(leases))
    def leave(self, leases: list[Any]) -> None:
        async def leave_it(lease: Any) -> None:
            async with lease:
                pass

        for lease in leases:
            self.portal.call(leave_it, lease)
            if self._held(lease):
                del self.lent[lease.message.id]
                self.waiting.add(lease.message.id)

    @rule(leases=leases, seconds=st.sampled_from([5.0, 60.0]))
    def extend(self, leases: list[Any], seconds: float) -> None:
        for lease in leases:
            self.portal.call(lease.extend, seconds)
            if self._held(lease):
                self.lent[lease.message.id] = (lease, self.clock.time() + seconds)

    @rule(seconds=st.sampled_from([1.0, 10.0, 40.0]))
    def advance(self, seconds: float) -> None:
        self.portal.call(self.clock.advance, seconds)

    @invariant()
    def nothing_is_lost(self) -> None:
        expected = (len(self.waiting), len(self.delayed), len(self.lent))
        assert self.portal.call(counts, self.queue) == expected


class TrioQueueMachine(QueueMachine):
    backend = "trio"


CHECKED = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestOnAsyncio = QueueMachine.TestCase
TestOnTrio = TrioQueueMachine.TestCase
TestOnAsyncio.settings = TestOnTrio.settings = CHECKED
