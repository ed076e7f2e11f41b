"""A trigger that keeps its obligations passes, and one that breaks one is caught."""

from __future__ import annotations

import sys

import anyio
import pytest

from fnframe import Event, QueueFull, Trigger
from fnframe.event import new_id, now
from fnframe.testing.triggers import ObligationBroken, check_trigger, obligation, trigger_obligations, world

pytestmark = pytest.mark.anyio


class Pile(Trigger):
    """Tells of each line of a file; up to where it did is noted."""

    name: str = "pile"

    async def run(self, mapping, *, task_status):
        task_status.started(f"looks at {self.name}")
        done = int(await mapping.state.get("done") or b"0")
        while True:
            for line in self.lines(mapping)[done:]:
                await self.tell(mapping, line)
                done += 1
                await mapping.state.put("done", str(done).encode())
            await mapping.clock.wait(anyio.Event(), mapping.clock.monotonic() + 0.05)

    def lines(self, mapping):
        path = mapping.directory / self.name
        return path.read_text().splitlines() if path.exists() else []

    def event(self, line):
        return Event(id=line, source="pile", type="line", time=now(), data=b"{}")

    async def tell(self, mapping, line):
        while True:
            try:
                return await mapping.enqueue(self.event(line))
            except QueueFull:
                await mapping.clock.wait(anyio.Event(), mapping.clock.monotonic() + 0.05)


async def add(world):
    with (world.directory / "pile").open("a") as pile:
        pile.write(f"line {world.count()}\n")


async def test_one_that_keeps_them_passes():
    # A test is no module that a template could import.
    kept = [each for each in trigger_obligations(Pile()) if each.name != "its_module_brings_no_event_loop"]
    for each in kept:
        await each.check(Pile(), add)
    assert len(kept) > 10


def test_every_obligation_says_why():
    assert len({str(each) for each in obligation.OBLIGATIONS}) == len(obligation.OBLIGATIONS)
    for each in obligation.OBLIGATIONS:
        assert len(each.why) > 40, each


class SaysNothing(Pile):
    async def run(self, mapping, *, task_status):
        task_status.started("")
        await anyio.sleep_forever()


class NamesAllAlike(Pile):
    def event(self, line):
        return Event(id="line", source="pile", type="line", time=now(), data=b"{}")


class TellsTwice(Pile):
    async def tell(self, mapping, line):
        for text in (line, f"{line} once more"):
            await mapping.enqueue(self.event(text))


class DoesNotEnd(Pile):
    async def run(self, mapping, *, task_status):
        try:
            await super().run(mapping, task_status=task_status)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1.5)


class Forgets(Pile):
    def event(self, line):
        return Event(id=new_id(), source="pile", type="line", time=now(), data=b"{}")

    async def run(self, mapping, *, task_status):
        await mapping.state.delete("done")
        await super().run(mapping, task_status=task_status)


class NamesAnewEachTime(Pile):
    def event(self, line):
        return Event(id=new_id(), source="pile", type="line", time=now(), data=b"{}")


class CannotBearAFilter(Pile):
    async def tell(self, mapping, line):
        await mapping.enqueue(self.event(line))
        if not mapping.passes(self.event(line)):
            raise RuntimeError("it was filtered")


class DropsWhatDoesNotFit(Pile):
    async def tell(self, mapping, line):
        try:
            await mapping.enqueue(self.event(line))
        except QueueFull:
            pass


class IsAnotherWithAFilter(Pile):
    def identity(self):
        return repr(self)


class SpeaksInLines(Pile):
    def describe(self):
        return "a\npile"


BROKEN = {
    SaysNothing: "it_says_that_it_is_ready",
    NamesAllAlike: "each_thing_that_happens_is_an_event_of_its_own",
    TellsTwice: "each_thing_that_happens_is_an_event_of_its_own",
    DoesNotEnd: "it_ends_when_it_is_cancelled_and_can_begin_again",
    Forgets: "what_was_handled_does_not_come_again",
    NamesAnewEachTime: "a_crash_before_it_was_noted_neither_loses_nor_doubles",
    CannotBearAFilter: "what_a_filter_keeps_out_holds_up_nothing",
    DropsWhatDoesNotFit: "a_full_queue_holds_it_up_and_loses_nothing",
    IsAnotherWithAFilter: "a_filter_makes_it_no_other",
    SpeaksInLines: "it_describes_itself_in_a_line",
}


@pytest.fixture
def hurry(monkeypatch):
    """Wait less for what will never come."""
    monkeypatch.setattr(world, "PATIENCE", 0.7)


@pytest.mark.parametrize(("trigger", "name"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", "caught"))
async def test_what_is_broken_is_caught(hurry, trigger, name):
    (broken,) = [each for each in trigger_obligations(trigger()) if each.name == name]
    with pytest.raises((ObligationBroken, RuntimeError)) as caught:
        await broken.check(trigger(), add)
    assert caught.value.__notes__ == [f"obligation {name}:\n{broken.why}"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_whole_suite_says_all_that_is_broken(hurry, tmp_path, monkeypatch, anyio_backend):
    (tmp_path / "heavy_trigger.py").write_text(
        "import asyncio\nfrom fnframe import Trigger\nclass Heavy(Trigger): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import heavy_trigger

    with pytest.raises(ObligationBroken, match=r"^\d+ of \d+ obligations are broken") as caught:
        await check_trigger(heavy_trigger.Heavy(), add)
    text = str(caught.value)
    assert "what importing heavy_trigger brings along: expected [], found ['asyncio']" in text
    assert "Each environment pays for what the module of a trigger imports" in text
    assert "Heavy must define `run` or `run_all`" in text
    del sys.modules["heavy_trigger"]
