"""Every engine of this house keeps the obligations, and an engine that breaks one is caught."""

from __future__ import annotations

from collections import deque
from itertools import count

import anyio
import pytest
from msgspec.structs import replace

from fnframe import ConfigurationError
from fnframe.engine.memory import MemoryEngine, MemoryState
from fnframe.engine.memory_queue import MemoryQueue
from fnframe.engine.memory_stream import Consumers, MemoryStream, Partition
from fnframe.testing.engines import ObligationBroken, check_engine, engine_obligations, obligation

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("obligation", engine_obligations(durable=False, shared=False), ids=str)
async def test_memory(obligation):
    await obligation.check(MemoryEngine)


def test_what_an_engine_is_not_is_not_asked_of_it():
    names = {
        kind: {str(each) for each in engine_obligations(**dict.fromkeys(("durable", "shared"), False) | {kind: True})}
        for kind in ("durable", "shared")
    }
    both = {str(each) for each in engine_obligations(durable=True, shared=True)}
    assert names["durable"] | names["shared"] == both
    assert "messages_outlive_the_engine" in names["durable"] - names["shared"]
    assert "state_is_shared" in names["shared"] - names["durable"]
    real = {str(each) for each in engine_obligations(durable=True, shared=True, virtual_time=False)}
    assert both - real >= {"an_id_is_remembered_for_the_window", "the_oldest_go_when_they_are_too_old"}


def test_every_obligation_says_why():
    obligations = engine_obligations(durable=True, shared=True)
    assert len({str(each) for each in obligations}) == len(obligations) > 60
    for each in obligations:
        assert len(each.why) > 40, each


class RealTime(MemoryEngine):
    """An engine that does not take its time from the clock that it is given, as one of a server does not."""

    def __init__(self, options):
        super().__init__(replace(options, clock=type(options).__struct_defaults__[0]))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_engine_without_the_virtual_clock_is_checked_in_real_time():
    for each in engine_obligations(durable=False, shared=False, virtual_time=False):
        if each.name == "receive_waits_until_a_delay_or_a_lease_is_over":
            await each.check(RealTime, virtual_time=False)


class ForgetsIds(MemoryQueue):
    def _hold(self, message, delay):
        super()._hold(message, delay)
        self._seen.clear()


class AcceptsInPart(MemoryQueue):
    def _accept(self, messages, delay):
        for message in list(messages):
            super()._accept([message], delay)


class LendsTwice(MemoryQueue):
    def _take(self, most, seconds):
        leases = super()._take(most, seconds)
        for lease in leases:
            if lease.held.group is None:
                self._ready.append(lease.held)
        return leases


class NeverTakesBack(MemoryQueue):
    def _take(self, most, seconds):
        return super()._take(most, 1e9)


class WallClock:
    """One that takes what somebody sets it to for time that passes."""

    def __init__(self, clock):
        self.time = self.monotonic = clock.time
        self.wait = self.wait_for_time = clock.wait_for_time


class BelievesTheWallClock(MemoryQueue):
    def __init__(self, name, bound, clock, keep):
        super().__init__(name, bound, WallClock(clock), keep)


class LetsLateOnesSettle(MemoryQueue):
    def _end(self, lease):
        return super()._end(lease) or next((own.held for own in self._lent if own.held is lease.held), None)


class ExtendsAnything(MemoryQueue):
    async def extend(self, leases, seconds):
        await super().extend(leases, seconds)
        return [True] * len(leases)


class CountsEveryRelease(MemoryQueue):
    def _give_back(self, held, again, delay):
        super()._give_back(held, replace(again, attempt=held.message.attempt + 1), delay)


class IgnoresGroups(MemoryQueue):
    def _hold(self, message, delay):
        super()._hold(replace(message, group=None), delay)


class LetsGroupsOvertake(MemoryQueue):
    def _give_back(self, held, again, delay):
        held.place = next(self._places)
        super()._give_back(held, again, delay)


class LosesWhatACancelledOneWouldHaveHad(MemoryQueue):
    async def receive(self, *arguments, **options):
        leases = await super().receive(*arguments, **options)
        await anyio.lowlevel.checkpoint()
        return leases


class Pile(deque):
    append = deque.appendleft


class ServesWhoCameLast(MemoryQueue):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._receivers = Pile()


class ForgetsReasons(MemoryQueue):
    def bury(self, lease, reason, error, report):
        super().bury(lease, "", b"null", report)


class KeepsNoReportOfAFailure(MemoryQueue):
    def release(self, lease, again, delay, report):
        super().release(lease, again, delay, None)


class KeepsReportsOfLateOnes(MemoryQueue):
    async def ack(self, leases, report=None):
        await super().ack(leases)
        self._keep(report)


class RedrivesAsItWas(MemoryQueue):
    async def redrive(self, ids):
        letters = [self._dead.pop(id_) for id_ in dict.fromkeys(ids) if id_ in self._dead]
        for letter in letters:
            self._hold(letter.message, 0.0)
        return len(letters)


QUEUES = {
    ForgetsIds: "an_id_is_accepted_once",
    AcceptsInPart: "a_full_queue_accepts_all_of_a_call_or_nothing",
    LendsTwice: "what_is_lent_comes_to_nobody_else_until_its_lease_is_over",
    NeverTakesBack: "what_is_lent_comes_to_nobody_else_until_its_lease_is_over",
    BelievesTheWallClock: "a_clock_that_is_set_ends_no_lease_and_makes_none_longer",
    LetsLateOnesSettle: "who_comes_late_takes_nothing_from_the_holder_of_now",
    ExtendsAnything: "a_lease_is_extended_as_long_as_it_is_held",
    CountsEveryRelease: "a_lease_that_is_left_gives_the_message_back_as_it_was",
    IgnoresGroups: "a_group_is_lent_to_one_at_a_time",
    LetsGroupsOvertake: "one_that_is_released_keeps_its_place",
    LosesWhatACancelledOneWouldHaveHad: "a_cancelled_receive_takes_nothing",
    ServesWhoCameLast: "who_waits_longest_is_served_first",
    ForgetsReasons: "a_dead_letter_tells_when_and_why",
    KeepsNoReportOfAFailure: "every_settlement_keeps_its_report",
    KeepsReportsOfLateOnes: "a_late_settlement_keeps_no_report",
    RedrivesAsItWas: "a_dead_letter_that_is_driven_again_begins_anew",
}


class SpreadsKeys(MemoryStream):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.numbers = count()

    def append(self, records):
        for record in records:
            self._partitions[next(self.numbers) % self.partitions].append(record, self._clock.time())


class CountsFromZero(Partition):
    def append(self, record, now):
        self.last -= not self.records
        super().append(record, now)


class HandsOutEverything(Consumers):
    def claim(self, most, seconds):
        self._free = list(range(len(self._checkpoints)))
        return super().claim(most, seconds)


class CommitsLate(Consumers):
    def commit(self, claim, checkpoint, reports):
        self._held.set(claim, self._clock.monotonic() + 1)
        return super().commit(claim, checkpoint, reports)


STREAMS = {
    SpreadsKeys: "records_of_a_key_are_read_in_the_order_of_acceptance",
    CountsFromZero: "positions_ascend_from_one_and_a_read_begins_behind_its",
    HandsOutEverything: "a_partition_is_claimed_by_one_of_a_group",
    CommitsLate: "a_claim_is_lost_when_its_time_is_over",
}


class TakesPrefixesForPatterns(MemoryState):
    async def items(self, prefix=""):
        return await super().items(prefix.rstrip("%_"))


class SetsAfterAWhile(MemoryState):
    async def compare_and_set(self, key, expected, value):
        if self.values.get(key) != expected:
            return False
        await anyio.lowlevel.checkpoint()
        await self.put(key, value)
        return True


STATES = {
    TakesPrefixesForPatterns: "items_are_listed_by_prefix_in_the_order_of_their_keys",
    SetsAfterAWhile: "of_many_that_compare_one_sets",
}


@pytest.fixture
def put_in(monkeypatch):
    """Let the memory engine be made of a broken part."""

    def put_in(part):
        module = "memory_stream" if issubclass(part, Partition | Consumers) else "memory"
        monkeypatch.setattr(f"fnframe.engine.{module}.{part.__base__.__name__}", part)
        monkeypatch.setattr(obligation, "LIMIT", 1.0)

    return put_in


@pytest.mark.parametrize(
    ("part", "name"), (QUEUES | STREAMS | STATES).items(), ids=lambda value: getattr(value, "__name__", "caught")
)
async def test_what_is_broken_is_caught(put_in, part, name):
    put_in(part)
    (broken,) = [each for each in engine_obligations(durable=False, shared=False) if each.name == name]
    with pytest.raises((ObligationBroken, TimeoutError)) as caught:
        await broken.check(MemoryEngine)
    assert caught.value.__notes__ == [f"obligation {name}:\n{broken.why}"]


async def test_the_whole_suite_says_all_that_is_broken(put_in, anyio_backend):
    if anyio_backend == "asyncio":
        assert await check_engine("memory:") == [str(e) for e in engine_obligations(durable=False, shared=False)]
    put_in(ForgetsReasons)
    with pytest.raises(ObligationBroken, match=r"^2 of \d+ obligations are broken") as caught:
        await check_engine(MemoryEngine)
    text = str(caught.value)
    assert "a_dead_letter_tells_when_and_why: ObligationBroken: reason and error: expected" in text
    assert "Who looks at it months later wants to know" in text


async def test_an_engine_is_known_by_its_url():
    with pytest.raises(ConfigurationError, match=r"no engine for the URL 'memry:'.*memory:"):
        await check_engine("memry:")
