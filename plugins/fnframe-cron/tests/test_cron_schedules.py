"""Schedules that are added, where several processes share the engine."""

from __future__ import annotations

import anyio
import pytest
from fnframe_cron import Cron
from fnframe_cron.schedules import REFRESH

pytestmark = pytest.mark.anyio

HOUR = 3600
BEGIN = 1_800_000_000  # 2027-01-15 08:00 UTC


async def test_what_one_process_added_another_fires(kit, engine, clock):
    """The one that added it dies; the other takes over what it had, without being told."""
    async with kit.process(engine) as second:
        async with kit.process(engine) as first:
            await first.add("sales", "sweep", "*/30 * * * *", {"what": "sales"})
        await kit.pass_steps(clock, 2 * HOUR)
        assert [schedule.name for schedule in await second.all()] == ["sales"]
    assert engine.instants == [BEGIN + HOUR // 2, BEGIN + HOUR, BEGIN + 3 * HOUR // 2, BEGIN + 2 * HOUR]
    assert {tick.schedule for tick in engine.ticks} == {"sales"}
    assert engine.ticks[0].data == {"what": "sales"}


async def test_each_instant_fires_in_one_process(kit, engine, clock):
    async with kit.process(engine) as first, kit.process(engine), kit.process(engine):
        await first.add("sales", "sweep", "*/10 * * * *")
        await kit.pass_steps(clock, HOUR)
    assert engine.instants == [BEGIN + n * 600 for n in range(1, 7)]


async def test_what_one_process_removed_no_other_fires(kit, engine, clock):
    """Not even before the others have looked what changed."""
    async with kit.process(engine) as first, kit.process(engine) as second:
        await first.add("sales", "sweep", "* * * * * *")
        await kit.pass_steps(clock, 2 * REFRESH)
        fired = len(engine.events)
        assert fired > 10
        assert await second.remove("sales")
        await kit.pass_steps(clock, 5)
        assert await first.all() == []
    assert len(engine.events) == fired


async def test_a_name_comes_again_as_another_schedule(kit, engine, clock):
    async with kit.process(engine) as first, kit.process(engine) as second:
        await first.add("sales", "sweep", "*/10 * * * *", 1)
        await kit.pass_steps(clock, 2 * REFRESH)
        await second.remove("sales")
        await second.add("sales", "sweep", "*/20 * * * *", 2)
        await kit.pass_steps(clock, HOUR)
    assert engine.instants == [BEGIN + n * 1200 for n in range(1, 4)]
    assert {tick.data for tick in engine.ticks} == {2}


async def test_of_two_that_add_one_name_at_once_one_is_told(kit, engine):
    problems = []

    async def add(schedules, expression):
        try:
            await schedules.add("sales", "sweep", expression)
        except Exception as error:
            problems.append(str(error))

    async with kit.process(engine) as first, kit.process(engine) as second, anyio.create_task_group() as tasks:
        tasks.start_soon(add, first, "*/10 * * * *")
        tasks.start_soon(add, second, "*/20 * * * *")
    assert len(problems) == 1
    assert "a schedule 'sales' is there already, which is another" in problems[0]


async def test_they_outlive_the_processes(kit, engine, clock):
    async with kit.process(engine) as schedules:
        await schedules.add("often", "sweep", Cron("0 * * * *", misfire="all"))
        await schedules.add("once", "sweep", "at(2027-01-15T09:30:00)")
    clock.advance(2 * HOUR + HOUR // 2)
    async with kit.process(engine) as schedules:
        await kit.until(lambda: len(engine.events) == 3)
        with anyio.fail_after(10):
            while len(await schedules.all()) == 2:
                await anyio.sleep(0.002)
    assert sorted(engine.instants) == [BEGIN + HOUR, BEGIN + 3 * HOUR // 2, BEGIN + 2 * HOUR]
    assert list(engine.state("cron").values) != []


async def test_nothing_is_left_of_what_was_removed(kit, engine, clock):
    async with kit.process(engine) as schedules:
        await schedules.add("sales", "sweep", "* * * * *")
        await schedules.add("once", "sweep", "at(2027-01-15T08:02:00)")
        await kit.pass_steps(clock, 200)
        await schedules.remove("sales")
        await kit.pass_steps(clock, 200)
    assert list(engine.state("cron").values) == ["version"]


async def test_nothing_is_left_of_what_was_replaced(kit, engine, clock):
    async with kit.process(engine) as schedules:
        await schedules.add("sales", "sweep", "* * * * *")
        await kit.pass_steps(clock, 90)
        await schedules.add("sales", "sweep", "*/2 * * * *", replace=True)
        await kit.pass_steps(clock, 200)
        assert len(engine.state("cron").values) == 3  # The schedule, its progress, and the version.


async def test_what_another_process_removed_is_forgotten_here(kit, engine, clock):
    async with kit.process(engine) as first, kit.process(engine) as second:
        await first.add("sales", "sweep", "* * * * *")
        await first.add("once", "sweep", "at(2027-01-15T08:01:00)")
        await kit.pass_steps(clock, 2 * REFRESH)
        assert len(second._entries) == 2
        await first.remove("sales")
        await kit.pass_steps(clock, 90)
        assert (first._entries, second._entries, second._agenda._entries) == ({}, {}, {})
    assert engine.instants == [BEGIN + 60]


async def test_an_engine_that_fails_is_asked_again(kit, engine, clock, caplog):
    async with kit.process(engine) as first:
        await first.add("sales", "sweep", "*/10 * * * *")
    engine.state("cron").broken = True
    async with kit.process(engine):
        await kit.pass_steps(clock, 60)
        engine.state("cron").broken = False
        await kit.pass_steps(clock, 600)
    assert engine.instants == [BEGIN + 600]
    assert "what was added by others is not known now, and looked for again: the disk is full" in caplog.text


async def test_each_is_told_from_the_other(kit, engine, clock):
    """Two of one time and one function are two schedules: both fire."""
    async with kit.process(engine) as schedules:
        for name in ("tea", "coffee"):
            await schedules.add(name, "sweep", "0 * * * *", name)
        await kit.pass_steps(clock, HOUR)
    assert sorted(tick.data for tick in engine.ticks) == ["coffee", "tea"]
    assert engine.instants == [BEGIN + HOUR] * 2


async def test_a_filter_is_the_schedules_own(kit, engine, clock):
    async with kit.process(engine) as schedules:
        await schedules.add("tea", "sweep", Cron("0 * * * *", filter={"data": {"data": ["tea"]}}), "tea")
        await schedules.add("coffee", "sweep", "0 * * * *", "coffee")
        assert (await schedules.all())[1].cron.filter == {"data": {"data": ["tea"]}}
        mappings = {entry.title: entry._mapping.trigger.filter for entry in schedules._entries.values()}
    assert mappings == {"tea": {"data": {"data": ["tea"]}}, "coffee": None}
