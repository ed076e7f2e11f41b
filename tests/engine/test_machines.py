"""Queues, streams and claims against simple models of them, whatever is done in whatever order, cancelled or not."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from fnframe_sqlite import SqliteEngine
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fnframe import QueueFull
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import EngineOptions, Message, Record
from fnframe.testing.clock import ManualClock

ENGINES = {"memory": MemoryEngine, "sqlite": lambda options: SqliteEngine("sqlite:///engine.db", options)}
LEASE, DELAY = 30.0, 5.0
BOUND = 8
WHICH = st.integers(0, 30)


def taken(some: list[Any], which: int) -> Any:
    """One of them, which is taken out; None where there is none."""
    return some.pop(which % len(some)) if some else None


# Rules draw numbers, not leases: whether a cancelled call got any depends on threads, and what is drawn may not.


class EngineMachine(RuleBasedStateMachine):
    """An engine in an event loop of its own, in another thread, with a clock that is turned by hand."""

    engine_name = "memory"
    backend = "asyncio"
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="fnframe-")
        self.portal_context = anyio.from_thread.start_blocking_portal(self.backend)
        self.portal = self.portal_context.__enter__()
        self.clock = ManualClock()
        options = EngineOptions(directory=Path(self.directory.name), clock=self.clock, **self.options)
        self.engine_context = self.portal.wrap_async_context_manager(ENGINES[self.engine_name](options))
        self.engine = self.engine_context.__enter__()

    def teardown(self) -> None:
        self.engine_context.__exit__(None, None, None)
        self.portal_context.__exit__(None, None, None)
        self.directory.cleanup()

    def call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        async def run() -> Any:
            return await function(*arguments, **options)

        return self.portal.call(run)

    def cancelled(self, after: int, function: Any, *arguments: Any, **options: Any) -> Any:
        """Call it and cancel it after so many turns of the event loop; what it returned, or None."""
        answer = None

        async def run(scope: anyio.CancelScope) -> None:
            nonlocal answer
            with scope:
                answer = await function(*arguments, **options)

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                scope = anyio.CancelScope()
                tasks.start_soon(run, scope)
                for _ in range(after):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

        self.portal.call(main)
        return answer

    @property
    def now(self) -> float:
        return self.clock.time()


class Expected:
    """What the model knows of a message."""

    def __init__(self, name: str, group: str | None, place: int, due: float) -> None:
        self.name = name
        self.group = group
        self.place = place
        self.due = due
        self.lease: Any = None
        self.until = 0.0
        self.attempt = 1
        self.lost = 0
        self.is_new = due == 0.0


class QueueMachine(EngineMachine):
    """Each message waits, is delayed, is lent to one, is done, or is dead; those of a group come in their order."""

    options: ClassVar = {"queue_bound": BOUND}

    def __init__(self) -> None:
        super().__init__()
        self.queue = self.engine.queue("q")
        self.held: dict[str, Expected] = {}
        self.dead: dict[str, tuple[str | None, int, int]] = {}
        self.seen: set[str] = set()
        self.places = 0
        self.leases: list[Any] = []

    def accepted(self, name: str, group: str | None, delay: float) -> None:
        self.places += 1
        self.held[name] = Expected(name, group, self.places, self.now + delay if delay else 0.0)
        self.seen.add(name)

    def turn(self) -> None:
        """What the clock does to the model."""
        for each in self.held.values():
            if each.lease is not None and each.until <= self.now:
                each.lease = None
                each.lost += 1

    def available(self) -> dict[str | None, list[Expected]]:
        """What can be had: of no group, and of each group, in its order."""
        found: dict[str | None, list[Expected]] = {}
        blocked = {each.group for each in self.held.values() if each.lease is not None} - {None}
        for each in sorted(self.held.values(), key=lambda each: each.place):
            if each.group in blocked or each.lease is not None:
                continue
            if each.due <= self.now:
                found.setdefault(each.group, []).append(each)
            elif each.group is not None:
                blocked.add(each.group)
        return found

    def lent(self, leases: Any, most: int) -> None:
        """Check what was lent, and note it."""
        could = self.available()
        assert len(leases) == min(most, sum(map(len, could.values()))), "what can be had is given"
        for lease in leases:
            message = lease.message
            mine = could[message.group]
            if message.group is None:
                (each,) = [each for each in mine if each.name == message.id]
                older = [other.name for other in mine if other.is_new and other.place < each.place]
                assert not each.is_new or not older, "of new messages the oldest comes first"
            else:
                each = mine[0]
            mine.remove(each)
            assert (message.id, message.body, message.group) == (each.name, each.name.encode(), each.group)
            assert (message.attempt, message.lost) == (each.attempt, each.lost)
            each.lease, each.until, each.is_new = lease, self.now + LEASE, False
        self.leases += leases

    def holder_of(self, lease: Any) -> Expected | None:
        each = self.held.get(lease.message.id)
        return each if each is not None and each.lease is lease else None

    @rule(
        again=st.lists(st.integers(0, 30), max_size=1),
        number=st.integers(1, 3),
        group=st.sampled_from(["g", None, "h"]),
        delay=st.sampled_from([0.0, 0.0, DELAY, 2 * LEASE]),
    )
    def send(self, again: list[int], number: int, group: str | None, delay: float) -> None:
        known = sorted(self.seen)
        names = [str(len(known) + place) for place in range(number)]
        names += [known[which % len(known)] for which in again if known]
        messages = [Message(name, name.encode(), group) for name in names]
        new = [name not in self.seen and name not in names[:place] for place, name in enumerate(names)]
        if sum(new) and len(self.held) + sum(new) > BOUND:
            with pytest.raises(QueueFull):
                self.call(self.queue.send, messages, delay=delay)
            return
        assert self.call(self.queue.send, messages, delay=delay) == new
        for name, is_new in zip(names, new, strict=True):
            if is_new:
                self.accepted(name, group, delay)

    @rule(after=st.integers(0, 6))
    def send_cancelled(self, after: int) -> None:
        """Who was cancelled sends again: then it is there once."""
        name = str(len(self.seen))
        if len(self.held) == BOUND:
            return
        answer = self.cancelled(after, self.queue.send, [Message(name, name.encode())])
        again = self.call(self.queue.send, [Message(name, name.encode())])
        assert answer in (None, [True])
        assert again == [False] or answer is None
        self.accepted(name, None, 0.0)

    @rule(most=st.integers(1, 4))
    def receive(self, most: int) -> None:
        self.lent(self.call(self.queue.receive, most, LEASE, wait=0.0), most)

    @rule(most=st.integers(1, 4), after=st.integers(0, 8))
    def receive_cancelled(self, most: int, after: int) -> None:
        leases = self.cancelled(after, self.queue.receive, most, LEASE)
        if leases is not None:
            return self.lent(leases, most)
        for each in self.held.values():
            each.is_new = False  # What was about to be lent may have lost its turn.
        leased = sum(each.lease is not None for each in self.held.values())
        end = time.monotonic() + 10
        while self.call(self.queue.statistics).leased != leased:
            assert time.monotonic() < end, "what a cancelled call was about to get is given back"
        return None

    @rule(which=WHICH)
    def ack(self, which: int) -> None:
        if (lease := taken(self.leases, which)) is None:
            return
        self.call(lease.ack)
        if (each := self.holder_of(lease)) is not None:
            del self.held[each.name]

    @rule(several=st.lists(WHICH, max_size=3))
    def ack_several(self, several: list[int]) -> None:
        some = [lease for which in several if (lease := taken(self.leases, which)) is not None]
        self.call(self.queue.ack, some)
        for lease in some:
            if (each := self.holder_of(lease)) is not None:
                del self.held[each.name]

    @rule(which=WHICH, delay=st.sampled_from([0.0, DELAY]), counted=st.booleans(), lost=st.booleans())
    def release(self, which: int, delay: float, counted: bool, lost: bool) -> None:
        if (lease := taken(self.leases, which)) is None:
            return
        self.call(lease.release, delay, counted=counted, lost=lost)
        if (each := self.holder_of(lease)) is not None:
            each.lease = None
            each.attempt += counted
            each.lost += lost
            each.due = self.now + delay if delay else 0.0

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        if (lease := taken(self.leases, which)) is None:
            return

        async def leave() -> None:
            async with lease:
                pass

        self.call(leave)
        if (each := self.holder_of(lease)) is not None:
            each.lease = None

    @rule(which=WHICH)
    def bury(self, which: int) -> None:
        if (lease := taken(self.leases, which)) is None:
            return
        self.call(lease.bury, "reason")
        if (each := self.holder_of(lease)) is not None:
            del self.held[each.name]
            self.dead[each.name] = (each.group, each.attempt, each.lost)

    @rule(number=st.integers(0, 3), seconds=st.sampled_from([DELAY, 2 * LEASE]))
    def extend(self, number: int, seconds: float) -> None:
        some = self.leases[:number]
        holders = [self.holder_of(lease) for lease in some]
        assert self.call(self.queue.extend, some, seconds) == [each is not None for each in holders]
        for each in holders:
            if each is not None:
                each.until = self.now + seconds

    @rule(number=st.integers(0, 3))
    def redrive(self, number: int) -> None:
        names = [*list(self.dead)[:number], "nobody"]
        again = [name for name in dict.fromkeys(names) if name in self.dead]
        if again and len(self.held) + len(again) > BOUND:
            with pytest.raises(QueueFull):
                self.call(self.queue.redrive, names)
            return
        assert self.call(self.queue.redrive, names) == len(again)
        for name in again:
            self.accepted(name, self.dead.pop(name)[0], 0.0)

    @rule(number=st.integers(0, 2))
    def purge(self, number: int) -> None:
        names = [*list(self.dead)[:number], "nobody"]
        gone = {name for name in names if self.dead.pop(name, None) is not None}
        assert self.call(self.queue.purge, names) == len(gone)

    @rule(seconds=st.sampled_from([1.0, DELAY, LEASE]))
    def pass_time(self, seconds: float) -> None:
        self.portal.call(self.clock.advance, seconds)
        self.turn()

    @invariant()
    def nothing_is_lost(self) -> None:
        leased = sum(each.lease is not None for each in self.held.values())
        delayed = sum(each.due > self.now and each.lease is None for each in self.held.values())
        expected = (len(self.held) - leased - delayed, delayed, leased, len(self.dead))
        assert tuple(self.call(self.queue.statistics)[:4]) == expected

    @invariant()
    def the_dead_are_kept_in_their_order(self) -> None:
        letters = self.call(self.queue.dead_letters)
        found = [(d.message.id, d.message.group, d.message.attempt, d.message.lost) for d in letters]
        assert found == [(name, *letter) for name, letter in self.dead.items()]


class StreamMachine(EngineMachine):
    """Each record is read in the order of its key until its time is over; a partition is one consumer's at a time."""

    options: ClassVar = {"stream_partitions": 3, "stream_retention": 100.0}

    def __init__(self) -> None:
        super().__init__()
        self.stream = self.engine.stream("s")
        self.records: dict[str, list[tuple[float, bytes]]] = {}
        self.ids: set[str] = set()
        self.last = dict.fromkeys(range(3), 0)
        self.holders: dict[tuple[str, int], tuple[Any, float]] = {}
        self.checkpoints: dict[tuple[str, int], bytes] = {}
        self.groups: dict[int, str] = {}
        self.claims: list[Any] = []  # All of them: the late ones too.
        self.number = 0

    def published(self, key: str, body: bytes) -> None:
        self.records.setdefault(key, []).append((self.now, body))

    def new_record(self, key: str, id_: str) -> Record:
        self.number += 1
        return Record(key, str(self.number).encode(), id_)

    @rule(keys=st.lists(st.sampled_from("abcde"), min_size=1, max_size=4), id_=st.sampled_from(["", "", "1", "2", "3"]))
    def publish(self, keys: list[str], id_: str) -> None:
        records = [self.new_record(key, id_ and f"{id_} {key}") for key in keys]
        new = []
        for record in records:
            new.append(not record.id or record.id not in self.ids)
            self.ids.add(record.id)
        assert self.call(self.stream.publish, records) == new
        for record, is_new in zip(records, new, strict=True):
            if is_new:
                self.published(record.key, record.body)

    @rule(key=st.sampled_from("abcde"), after=st.integers(0, 6))
    def publish_cancelled(self, key: str, after: int) -> None:
        record = self.new_record(key, f"cancelled {self.number}")
        answer = self.cancelled(after, self.stream.publish, [record])
        again = self.call(self.stream.publish, [record])
        assert again == [False] or answer is None
        self.published(key, record.body)

    @rule(partition=st.integers(0, 2), after=st.integers(0, 6))
    def read_cancelled(self, partition: int, after: int) -> None:
        self.cancelled(after, self.stream.read, partition, self.last[partition] + 5, 10, wait=1e9)

    @rule(group=st.sampled_from("xy"), most=st.integers(1, 3))
    def claim(self, group: str, most: int) -> None:
        self.claimed(self.call(self.stream.claim, group, "consumer", most, LEASE), group, most)

    @rule(group=st.sampled_from("xy"), after=st.integers(0, 6))
    def claim_cancelled(self, group: str, after: int) -> None:
        claims = self.cancelled(after, self.stream.claim, group, "consumer", 3, LEASE)
        if claims is not None:
            return self.claimed(claims, group, 3)
        free = [partition for partition in range(3) if not self.is_held(group, partition)]
        again: list[Any] = []
        end = time.monotonic() + 10
        while len(again) < len(free):
            assert time.monotonic() < end, "what a cancelled call was about to get is given back"
            again += self.call(self.stream.claim, group, "consumer", 3, LEASE)
        return self.claimed(again, group, 3)

    def claimed(self, claims: Any, group: str, most: int) -> None:
        free = {partition for partition in range(3) if not self.is_held(group, partition)}
        assert len(claims) == min(most, len(free))
        for claim in claims:
            assert claim.partition in free
            free.remove(claim.partition)
            assert claim.checkpoint == self.checkpoints.get((group, claim.partition), b"")
            self.holders[group, claim.partition] = (claim, self.now + LEASE)
            self.groups[id(claim)] = group
        self.claims += claims

    def is_held(self, group: str, partition: int) -> bool:
        return self.holders.get((group, partition), (None, 0.0))[1] > self.now

    def is_holder(self, claim: Any) -> bool:
        group = self.groups[id(claim)]
        return self.is_held(group, claim.partition) and self.holders[group, claim.partition][0] is claim

    @rule(which=WHICH)
    def commit(self, which: int) -> None:
        if not self.claims:
            return
        claim = self.claims[which % len(self.claims)]
        self.number += 1
        checkpoint = str(self.number).encode()
        is_holder = self.is_holder(claim)
        assert self.call(claim.commit, checkpoint) == is_holder
        if is_holder:
            self.checkpoints[self.groups[id(claim)], claim.partition] = checkpoint

    @rule(which=WHICH, seconds=st.sampled_from([DELAY, 2 * LEASE]))
    def extend(self, which: int, seconds: float) -> None:
        if not self.claims:
            return
        claim = self.claims[which % len(self.claims)]
        is_holder = self.is_holder(claim)
        assert self.call(claim.extend, seconds) == is_holder
        if is_holder:
            self.holders[self.groups[id(claim)], claim.partition] = (claim, self.now + seconds)

    @rule(which=WHICH)
    def release(self, which: int) -> None:
        if not self.claims:
            return
        claim = self.claims[which % len(self.claims)]
        if self.is_holder(claim):
            del self.holders[self.groups[id(claim)], claim.partition]
        self.call(claim.release)

    @rule(seconds=st.sampled_from([1.0, DELAY, LEASE, 90.0]))
    def pass_time(self, seconds: float) -> None:
        self.portal.call(self.clock.advance, seconds)

    @invariant()
    def every_key_is_in_order(self) -> None:
        found: dict[str, list[bytes]] = {}
        for partition in range(3):
            records = self.call(self.stream.read, partition, 0, 1000)
            first, last = self.call(self.stream.bounds, partition)
            assert [record.position for record in records] == list(range(first, last + 1))
            assert last >= self.last[partition], "a position is never given twice"
            self.last[partition] = last
            for record in records:
                found.setdefault(record.key, []).append(record.body)
                assert self.call(self.stream.position_at, partition, record.accepted) < record.position
        young = {key: [body for at, body in kept if at >= self.now - 100.0] for key, kept in self.records.items()}
        assert found == {key: bodies for key, bodies in young.items() if bodies}


@pytest.mark.parametrize("machine", [QueueMachine, StreamMachine])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("engine", ["memory", "sqlite"])
def test_an_engine_does_what_its_model_does(machine, backend, engine):
    class Machine(machine):
        engine_name = engine

    Machine.backend = backend
    run_state_machine_as_test(Machine, settings=settings(max_examples=40, stateful_step_count=40))
