"""The conformance kit of triggers: what keeps its obligations passes, and whatever breaks one is caught by name."""

from __future__ import annotations

import itertools
import json
import threading

import anyio
import anyio.lowlevel
import msgspec
import pytest

from fnframe import Event, QueueFull, Trigger
from fnframe.event import new_id, now
from fnframe.testing import ObligationBroken, TriggerCase, check_trigger, trigger_obligations
from fnframe.testing.triggers import obligation as kit
from fnframe.testing.triggers import served

pytestmark = pytest.mark.anyio

LINES = {}
_names = itertools.count()


class Line:
    """The outside: rings, and the count of those that it believes to be heard."""

    def __init__(self):
        self.heard = 0
        self.rings = []
        self.rung = anyio.Event()

    def ring(self, number):
        self.rings.append(number)
        self.rung.set()

    async def next(self):
        while not self.rings:
            self.rung = anyio.Event()
            await self.rung.wait()
        return self.rings.pop(0)


class Bell(Trigger, frozen=True):
    """Keeps all obligations."""

    line: str

    async def run(self, mapping, *, task_status):
        line = LINES[self.line]
        task_status.started(f"bell {self.line}")
        while True:
            number = await line.next()
            await self.hand_over(mapping, self.event(number))
            line.heard += 1

    def event(self, number):
        return Event(
            id=f"{self.line} {number}", source="bell", type="ring", time=now(), data=json.dumps(number).encode()
        )

    async def hand_over(self, mapping, event):
        while True:
            try:
                await mapping.enqueue(event)
            except QueueFull:
                await anyio.sleep(0.001)
            else:
                return


def case_of(type_, *, again=True):
    def make(world):
        name = f"line {next(_names)}"
        LINES[name] = line = Line()

        async def happen(number):
            line.ring(number)

        return TriggerCase(type_(name), happen, lambda: line.heard, happen if again else None)

    return make


@pytest.fixture
def impatient(monkeypatch):
    """What never comes is not waited for as long as it is elsewhere."""
    monkeypatch.setattr(served, "READY", 0.5)
    monkeypatch.setattr(served, "END", 0.5)
    monkeypatch.setattr("fnframe.testing.triggers.running.LOOKS", 150)
    monkeypatch.setattr("fnframe.testing.triggers.obligation.PATIENCE", 1.0)


@pytest.mark.parametrize("obligation", trigger_obligations(case_of(Bell)), ids=str)
async def test_what_keeps_them_passes(obligation):
    await obligation.check(case_of(Bell))


def test_every_obligation_says_why():
    for obligation in kit.OBLIGATIONS:
        assert len(obligation.why) > 60, obligation


class ForgetsAFieldInJson(Bell, frozen=True):
    volume: list[int] = msgspec.field(default_factory=list)

    def __post_init__(self):
        self.volume.append(1)


class HasAnIdentityOfTheMoment(Bell, frozen=True):
    def identity(self):
        return new_id()


class SaysNothingOfItself(Bell, frozen=True):
    def describe(self):
        return "a\nbell"


class NeverReady(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        await anyio.sleep_forever()


class StartsWithoutAWord(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        task_status.started()
        await anyio.sleep_forever()


class Returns(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        task_status.started("open")


class SwallowsCancellation(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        task_status.started("open")
        cancelled = anyio.get_cancelled_exc_class()
        while True:
            try:
                await anyio.sleep_forever()
            except cancelled:
                continue


class LeaksATask(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        leak(anyio.sleep)
        await super().run(mapping, task_status=task_status)


class LeaksAThread(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        threading.Thread(target=threading.Event().wait, args=(20,), name="left over", daemon=True).start()
        await super().run(mapping, task_status=task_status)


class LeaksAFile(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        FILES.append(open(__file__))  # noqa: SIM115  the mistake under test
        await super().run(mapping, task_status=task_status)


class LeavesItsFileWhenCancelledEarly(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        file = open(__file__)  # noqa: SIM115  the mistake under test
        FILES.append(file)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        try:
            await super().run(mapping, task_status=task_status)
        finally:
            file.close()


class KeepsItsPort(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        if self.line in PORTS:
            raise OSError("the port is taken")
        PORTS.add(self.line)
        await super().run(mapping, task_status=task_status)


class Deaf(Bell, frozen=True):
    async def hand_over(self, mapping, event):
        pass


class TellsNoTimeZone(Bell, frozen=True):
    def event(self, number):
        return msgspec.structs.replace(super().event(number), time=now().replace(tzinfo=None))


class GivesOneIdToAll(Bell, frozen=True):
    def event(self, number):
        return msgspec.structs.replace(super().event(number), id="ring")


class NumbersAnew(Bell, frozen=True):
    async def run(self, mapping, *, task_status):
        LINES[self.line].before = LINES[self.line].heard
        await super().run(mapping, task_status=task_status)

    def event(self, number):
        line = LINES[self.line]
        return msgspec.structs.replace(super().event(number), id=str(line.heard - line.before))


class EndsWithItsFunction(Bell, frozen=True):
    async def hand_over(self, mapping, event):
        (await mapping.invoke(event)).unwrap()


class EndsWithAFullQueue(Bell, frozen=True):
    async def hand_over(self, mapping, event):
        await mapping.enqueue(event)


class GoesRoundItsFilter(Bell, frozen=True):
    async def hand_over(self, mapping, event):
        await mapping._running.accept(mapping.function.name, event, trigger="bell")


class AcknowledgesTooEarly(Bell, frozen=True):
    async def hand_over(self, mapping, event):
        LINES[self.line].heard += 1
        await super().hand_over(mapping, event)
        LINES[self.line].heard -= 1


class NeverAcknowledges(Bell, frozen=True):
    async def hand_over(self, mapping, event):
        await super().hand_over(mapping, event)
        LINES[self.line].heard -= 1


class MakesUpItsIds(Bell, frozen=True):
    def event(self, number):
        return msgspec.structs.replace(super().event(number), id=new_id())


PORTS, FILES = set(), []


def leak(function):
    """Start a task that outlives its trigger."""
    try:
        import asyncio

        LEAKED.append(asyncio.get_running_loop().create_task(function(20), name="left over"))
    except RuntimeError:
        import trio

        trio.lowlevel.spawn_system_task(function, 20, name="left over")


LEAKED = []

BROKEN = [
    (ForgetsAFieldInJson, "a_manifest_carries_it", "the trigger after JSON: expected"),
    (HasAnIdentityOfTheMoment, "a_manifest_carries_it", "its identity: expected"),
    (SaysNothingOfItself, "it_describes_itself_in_one_line", r"expected one printable line, found 'a\nbell'"),
    (NeverReady, "it_says_when_it_is_ready", "`task_status.started()` was not called within"),
    (StartsWithoutAWord, "it_says_when_it_is_ready", "expected one printable line for a person, found None"),
    (Returns, "it_runs_until_it_is_cancelled", "`run` returned by itself"),
    (SwallowsCancellation, "it_ends_when_it_is_cancelled", "it had not ended 0.5 s after it was cancelled"),
    (LeaksATask, "it_leaves_nothing_behind", "left over"),
    (LeaksAThread, "it_leaves_nothing_behind", "the thread 'left over'"),
    (LeaksAFile, "it_leaves_nothing_behind", "the open file"),
    (LeavesItsFileWhenCancelledEarly, "it_may_be_cancelled_before_it_is_ready", "the open file"),
    (KeepsItsPort, "it_can_be_served_again", "the port is taken"),
    (Deaf, "what_happens_reaches_the_function", "1 event(s) at the function: it never came"),
    (TellsNoTimeZone, "what_happens_reaches_the_function", "expected one with a time zone"),
    (GivesOneIdToAll, "each_event_is_another", "2 event(s) at the function: it never came"),
    (NumbersAnew, "each_event_is_another", "3 event(s) at the function: it never came"),
    (EndsWithItsFunction, "a_function_that_fails_does_not_end_it", "as the obligation asks"),
    (EndsWithAFullQueue, "a_full_queue_does_not_end_it", "the event was not accepted"),
    (GoesRoundItsFilter, "it_asks_its_filter", "found ['ring']"),
    (AcknowledgesTooEarly, "nothing_is_acknowledged_before_it_is_accepted", "before they are accepted: expected 0"),
    (NeverAcknowledges, "nothing_is_acknowledged_before_it_is_accepted", "it never came"),
    (MakesUpItsIds, "what_is_told_again_is_the_same_event", "expected 2, found 3"),
]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("type_", "name", "words"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
async def test_what_is_broken_is_caught(type_, name, words):
    (broken,) = [each for each in kit.OBLIGATIONS if each.name == name]
    with pytest.raises(BaseException) as caught:  # noqa: PT011  a task group's, or the obligation's own
        await broken.check(case_of(type_))
    error = caught.value
    assert error.__notes__ == [f"obligation {name}:\n{broken.why}"]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert words in str(error)


def test_every_obligation_is_broken_once():
    assert {name for _, name, _ in BROKEN} == {each.name for each in kit.OBLIGATIONS} - {"its_module_is_light"}


async def test_a_module_that_is_heavy_is_caught(tmp_path, monkeypatch):
    (tmp_path / "heavy_bell.py").write_text(
        "import anyio\nfrom fnframe import Trigger\n\n\nclass Heavy(Trigger):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import heavy_bell

    (light,) = [each for each in kit.OBLIGATIONS if each.name == "its_module_is_light"]
    with pytest.raises(ObligationBroken, match=r"heavy modules that `import heavy_bell` loads: expected \[\], found"):
        await light.check(lambda world: TriggerCase(heavy_bell.Heavy()))


async def test_the_whole_kit_says_all_that_is_broken():
    assert await check_trigger(case_of(Bell)) == [each.name for each in kit.OBLIGATIONS]
    with pytest.raises(ObligationBroken, match=r"^1 of \d+ obligations are broken") as caught:
        await check_trigger(case_of(MakesUpItsIds))
    assert "what_is_told_again_is_the_same_event: ObligationBroken: different events" in str(caught.value)
    assert "Only an id that is made of\nwhat happened" in str(caught.value)


def test_what_a_case_cannot_show_is_not_asked():
    names = {each.name for each in trigger_obligations(lambda world: TriggerCase(Bell("x")))}
    assert "it_ends_when_it_is_cancelled" in names
    assert "what_happens_reaches_the_function" not in names
