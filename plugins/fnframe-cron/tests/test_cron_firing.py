"""What fires when time passes: on a clock that the test turns, with an engine that several processes share."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time

import anyio
import pytest
from anyio.lowlevel import checkpoint
from fnframe_cron import Cron
from fnframe_cron.entry import PUNCTUAL
from fnframe_cron.progress import Ledger, Progress

from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

MINUTE, HOUR, DAY = 60, 3600, 86_400
BEGIN = 1_800_000_000  # 2027-01-15 08:00 UTC


@pytest.fixture
def fired(kit, engine):
    """The instants that fire while so many seconds pass, in so many processes that serve these schedules."""

    async def fired(seconds, *crons, processes=1, engine=engine):
        before = len(engine.events)
        async with anyio.create_task_group() as tasks:
            for _ in range(processes):
                tasks.start_soon(serve, [kit.Recorder(cron, engine, f"f{n}") for n, cron in enumerate(crons)])
            await kit.pass_time(engine.clock, seconds, waiting=processes)
            tasks.cancel_scope.cancel()
        return engine.instants[before:]

    async def serve(mappings):
        async with kit.serving(*mappings):
            await anyio.sleep_forever()

    return fired


async def test_each_instant_fires_once(fired, engine):
    assert await fired(HOUR, Cron("*/20 * * * *")) == [BEGIN + 20 * MINUTE, BEGIN + 40 * MINUTE, BEGIN + HOUR]
    tick = engine.ticks[-1]
    assert tick.schedule == "*/20 * * * *"
    assert tick.scheduled == tick.fired == dt.datetime.fromtimestamp(BEGIN + HOUR, dt.UTC)
    assert tick.previous == dt.datetime.fromtimestamp(BEGIN + 40 * MINUTE, dt.UTC)
    assert engine.ticks[0].previous is None
    event = engine.events[0]
    assert (event.source, event.type, event.subject) == ("fnframe:cron", "fnframe.cron.tick", "*/20 * * * *")
    assert event.time == engine.ticks[0].scheduled
    assert len({event.id for event in engine.events}) == 3


async def test_a_month_passes_in_a_moment(kit, fired):
    """March in Berlin: each quarter of an hour, each night, a rate, and one time; on a clock that is turned."""
    clock = ManualClock(dt.datetime.fromisoformat("2027-03-01T00:00:00+01:00").timestamp())
    engine = kit.Engine(clock)
    crons = [Cron("*/15 * * * *", tz="Europe/Berlin"), Cron("30 2 * * *", tz="Europe/Berlin"), Cron("rate(7 hours)")]
    began = time.process_time()
    instants = await fired(31 * DAY, *crons, Cron("at(2027-03-28T02:15:00)", tz="Europe/Berlin"), engine=engine)
    assert time.process_time() - began < 5.0  # On a machine of its own it is under one.
    nights = [tick.scheduled.isoformat() for tick in engine.ticks if tick.schedule == "30 2 * * *"]
    assert len(nights) == 31
    assert nights[26:29] == [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
    ]
    assert len(instants) == 31 * 96 + 31 + 106 + 1
    assert instants == sorted(instants)


async def test_the_handler_sees_the_zones_time(fired, engine):
    await fired(DAY, Cron("30 2 * * *", tz="America/New_York", name="nightly"))
    data = json.loads(engine.events[0].data)
    assert data["scheduled"] == "2027-01-16T02:30:00-05:00"
    assert (data["tz"], data["schedule"]) == ("America/New_York", "nightly")
    assert engine.events[0].subject == "nightly"


async def test_seconds(fired):
    assert await fired(60, Cron("*/20 * * * * *")) == [BEGIN + 20, BEGIN + 40, BEGIN + 60]


async def test_it_tells_what_is_next_when_it_has_started(kit, engine):
    crons = [Cron("30 9 * * *", tz="Europe/Berlin"), Cron("cron(0 12 * * ? 2020)", name="over")]
    async with kit.serving(*(kit.Recorder(cron, engine) for cron in crons)) as texts:
        assert texts == ["30 9 * * * in Europe/Berlin, next 2027-01-15 09:30:00+01:00", "over, never again"]


async def test_nothing_from_before_the_first_start_fires(fired):
    """08:00:30: what was due at 08:00 is no business of a schedule that nobody had written then."""
    assert await fired(30, Cron("0 * * * *")) == []
    assert await fired(HOUR, Cron("0 * * * *")) == [BEGIN + HOUR]


# What was missed.


@pytest.mark.parametrize(
    ("misfire", "grace", "expected"),
    [
        ("once", DAY, [5]),
        ("all", DAY, [1, 2, 3, 4, 5]),
        ("skip", DAY, []),
        ("once", 40 * MINUTE, [5]),
        ("once", 10 * MINUTE, []),
        ("all", 100 * MINUTE, [4, 5]),
        ("all", 0, []),
    ],
)
async def test_what_was_missed_while_the_app_was_down(fired, engine, misfire, grace, expected):
    cron = Cron("0 * * * *", misfire=misfire, grace=grace)
    assert await fired(10, cron) == []
    engine.clock.advance(5 * HOUR + 30 * MINUTE)
    assert await fired(10, cron) == [BEGIN + n * HOUR for n in expected]
    # Whatever became of it, it is dealt with: the next one is the next.
    assert await fired(40 * MINUTE, cron) == [BEGIN + 6 * HOUR]


async def test_once_tells_since_when(fired, engine):
    cron = Cron("0 * * * *")
    await fired(HOUR, cron)
    engine.clock.advance(5 * HOUR + 30 * MINUTE)
    await fired(10, cron)
    tick = engine.ticks[-1]
    assert tick.scheduled.timestamp() == BEGIN + 6 * HOUR
    assert tick.previous.timestamp() == BEGIN + HOUR
    assert tick.fired.timestamp() == BEGIN + 6 * HOUR + 30 * MINUTE


@pytest.mark.parametrize("misfire", ["once", "all", "skip"])
async def test_what_comes_up_to_a_minute_late_is_in_time(fired, engine, misfire):
    """A process that is busy for a moment loses nothing, whatever the policy."""
    cron = Cron("*/10 * * * * *", misfire=misfire)
    await fired(1, cron)
    engine.clock.advance(PUNCTUAL - 5)
    assert await fired(0.5, cron) == [BEGIN + n for n in range(10, 60, 10)]


async def test_a_long_outage_of_a_dense_schedule_costs_no_walk_through_it(fired, engine):
    cron = Cron("* * * * * *", grace=366 * DAY)
    await fired(1, cron)
    engine.clock.advance(300 * DAY)
    began = time.process_time()
    assert await fired(0.5, cron) == [BEGIN + 300 * DAY + 1]
    assert time.process_time() - began < 2.0


async def test_a_long_outage_that_is_too_long_ago_fires_what_is_within_grace(fired, engine):
    cron = Cron("0 * * * *", misfire="all", grace=2 * HOUR)
    await fired(1, cron)
    engine.clock.advance(300 * DAY)
    assert await fired(0.5, cron) == [BEGIN + 300 * DAY - HOUR, BEGIN + 300 * DAY]


async def test_what_is_dropped_is_logged(fired, engine, caplog):
    cron = Cron("0 * * * *", misfire="skip", name="report")
    await fired(1, cron)
    engine.clock.advance(HOUR + 30 * MINUTE)
    with caplog.at_level(logging.WARNING, "fnframe.cron"):
        await fired(0.5, cron)
    assert "report: what was due until 2027-01-15 09:29:00+00:00 was missed; nothing fires for it" in caplog.text


async def test_one_time_that_was_missed_fires_late(fired, engine):
    crons = [Cron("at(2027-01-15T08:30:00)"), Cron("@yearly")]
    await fired(1, *crons)
    engine.clock.advance(HOUR)
    assert await fired(10, *crons) == [BEGIN + 30 * MINUTE]
    assert await fired(DAY, *crons) == []


async def test_another_expression_is_another_schedule(fired, engine):
    """Nothing of the new one was missed while the old one was served."""
    await fired(HOUR, Cron("0 0 1 1 *"))
    engine.clock.advance(5 * HOUR)
    assert await fired(1, Cron("0 * * * *")) == []


async def test_another_policy_is_the_same_schedule(fired, engine):
    await fired(1, Cron("0 * * * *"))
    engine.clock.advance(2 * HOUR)
    assert await fired(1, Cron("0 * * * *", misfire="all", grace=9 * HOUR)) == [BEGIN + HOUR, BEGIN + 2 * HOUR]


# What still runs.


async def test_overlap_skip_leaves_out_what_comes_while_the_one_before_runs(kit, engine, clock, caplog):
    cron = Cron("0 * * * *", overlap="skip")
    with caplog.at_level(logging.INFO, "fnframe.cron"):
        async with kit.serving(kit.Recorder(cron, engine)):
            await kit.pass_time(clock, HOUR)
            assert len(engine.events) == 1
            await kit.pass_time(clock, 2 * HOUR)
            assert len(engine.events) == 1
            engine.pending.clear()
            await kit.pass_time(clock, HOUR)
    assert engine.instants == [BEGIN + HOUR, BEGIN + 4 * HOUR]
    assert engine.ticks[-1].previous.timestamp() == BEGIN + HOUR
    assert caplog.text.count("is left out, since the event before has not ended") == 2


async def test_overlap_queue_puts_the_events_into_one_group(fired, engine):
    await fired(2 * HOUR, Cron("0 * * * *", overlap="queue"), Cron("0 * * * *", name="other"))
    groups = dict(zip((event.subject for event in engine.events), engine.groups, strict=True))
    assert groups["0 * * * *"] is not None
    assert groups["other"] is None
    assert len(set(engine.groups)) == 2


# Windows.


async def test_a_window_spreads_the_firings_and_all_processes_agree(kit, fired):
    late = []
    for _ in range(2):
        engine = kit.Engine(ManualClock(BEGIN))
        crons = [Cron("0 * * * *", window=600, name=f"n{n}") for n in range(50)]
        assert len(await fired(HOUR + 900, *crons, engine=engine)) == 50
        late.append({tick.schedule: (tick.fired - tick.scheduled).total_seconds() for tick in engine.ticks})
    assert late[0] == late[1]
    seconds = sorted(late[0].values())
    assert 0 <= seconds[0] < 100 < 500 < seconds[-1] <= 600
    assert len(set(seconds)) == 50


async def test_a_window_longer_than_the_period_keeps_order_and_loses_nothing(fired, engine):
    for misfire in ("once", "all", "skip"):
        cron = Cron("* * * * *", window=1800, misfire=misfire, name=misfire)
        begin = int(engine.clock.time())
        instants = await fired(2 * HOUR, cron)
        assert instants == list(range(begin + MINUTE, begin + MINUTE * (len(instants) + 1), MINUTE))
        assert len(instants) >= 90
        fired_at = [tick.fired for tick in engine.ticks if tick.schedule == misfire]
        assert fired_at == sorted(fired_at)


@pytest.mark.parametrize("outage", range(18_000, 18_600, 90))
async def test_what_was_missed_and_what_its_window_still_delays(kit, fired, engine, outage):
    """After an outage it is due what would have fired without one."""
    crons = {misfire: Cron("*/5 * * * *", window=600, grace=900, misfire=misfire) for misfire in ("once", "all")}
    never_down = kit.Engine(ManualClock(BEGIN))
    await fired(7 * HOUR, crons["all"], engine=never_down)
    due = {tick.scheduled.timestamp(): tick.fired.timestamp() for tick in never_down.ticks}
    for misfire, cron in crons.items():
        engine = kit.Engine(ManualClock(BEGIN))
        await fired(1, cron, engine=engine)
        engine.clock.advance(outage)
        now = engine.clock.time()
        expected = [instant for instant, at in due.items() if now - 900 <= at <= now]
        found = await fired(0.001, cron, engine=engine)
        assert found == (expected if misfire == "all" else expected[-1:])
        await fired(HOUR, cron, engine=engine)
        later = {tick.scheduled.timestamp(): tick.fired.timestamp() for tick in engine.ticks[len(found) :]}
        assert later == {instant: at for instant, at in due.items() if now < at <= now + HOUR + 0.001}


# Several processes, restarts, and an engine that refuses.


async def test_of_several_processes_one_is_heard(fired):
    assert await fired(HOUR, Cron("*/10 * * * *"), processes=4) == [BEGIN + n * 600 for n in range(1, 7)]


async def test_of_several_processes_that_come_back_one_is_heard(fired, engine):
    for misfire, expected in (("once", 1), ("all", 12)):
        cron = Cron("0 * * * *", misfire=misfire)
        await fired(1, cron, processes=3)
        engine.clock.advance(12 * HOUR)
        assert len(await fired(1, cron, processes=3)) == expected


async def test_a_process_that_stood_still_for_hours_repeats_nothing(kit, engine, clock, fired):
    """It wakes with what it had planned; by then the engine has forgotten the ids that the others used."""
    cron = Cron("30 8 * * *")
    mine = kit.Engine(ManualClock(clock.time()))
    mine.states, mine._accepted, mine.events = engine.states, engine._accepted, engine.events
    async with kit.serving(kit.Recorder(cron, mine, "f0")):
        assert await fired(3 * HOUR, cron) == [BEGIN + 30 * MINUTE]
        engine._accepted.clear()
        mine.clock.advance(3 * HOUR)
        await kit.at_rest(mine.clock)
    assert len(engine.events) == 1


async def test_who_comes_late_undoes_no_progress(engine):
    state = engine.state("any")
    early, late = Ledger(state, "progress"), Ledger(state, "progress")
    for ledger in (early, late):
        assert await ledger.begin(BEGIN, BEGIN) == Progress(BEGIN)
    await early.note(Progress(BEGIN + 20, BEGIN + 20), BEGIN + 20)
    await late.note(Progress(BEGIN + 10, BEGIN + 10), BEGIN + 20)
    assert await late.read(BEGIN + 20) == Progress(BEGIN + 20, BEGIN + 20)
    await late.note(Progress(BEGIN + 30), BEGIN + 30)
    assert await early.read(BEGIN + 30) == Progress(BEGIN + 30)


async def test_a_crash_between_event_and_note_repeats_the_event_and_the_engine_takes_it_once(fired, engine):
    cron = Cron("0 * * * *")
    await fired(1, cron)
    state = engine.state(f"f0:{cron.identity()}")
    before = dict(state.values)
    await fired(HOUR, cron)
    state.values.update(before)
    assert await fired(10, cron) == []
    assert await fired(HOUR, cron) == [BEGIN + 2 * HOUR]


async def test_a_full_queue_delays_and_loses_nothing(kit, engine, clock, caplog):
    cron = Cron("* * * * *", misfire="skip")
    engine.full = True
    async with kit.serving(kit.Recorder(cron, engine)):
        with caplog.at_level(logging.WARNING, "fnframe.cron"):
            await kit.pass_time(clock, MINUTE + 30)
        assert engine.events == []
        assert caplog.text.count("cannot fire now and is tried again each second") == 1
        engine.full = False
        await kit.pass_time(clock, MINUTE)
    assert engine.instants == [BEGIN + MINUTE, BEGIN + 2 * MINUTE]


async def test_an_engine_that_fails_before_the_first_firing_is_asked_again(kit, engine, clock, caplog):
    cron = Cron("* * * * *")
    state = engine.state(f"sweep:{cron.identity()}")
    state.broken = True
    with caplog.at_level(logging.WARNING, "fnframe.cron"):
        async with kit.serving(kit.Recorder(cron, engine)):
            await kit.pass_time(clock, 30)
            assert engine.events == []
            state.broken = False
            await kit.pass_time(clock, 40)
    assert engine.instants == [BEGIN + MINUTE]
    assert caplog.text.count("is tried again each second: the disk is full") == 1


async def test_an_engine_that_fails_after_an_event_gets_it_again(kit, engine, clock, caplog):
    """It has the event, and could not note that: the event is the same, so it is taken once."""
    cron = Cron("* * * * *")
    async with kit.serving(kit.Recorder(cron, engine)):
        await kit.at_rest(clock)
        state = engine.state(f"sweep:{cron.identity()}")
        state.broken = True
        await kit.pass_time(clock, 70)
        assert engine.instants == [BEGIN + MINUTE]
        state.broken = False
        await kit.pass_time(clock, 60)
    assert engine.instants == [BEGIN + MINUTE, BEGIN + 2 * MINUTE]


async def test_many_that_are_due_at_once_all_fire(fired):
    crons = [Cron("0 * * * *", name=f"n{n}") for n in range(700)]
    assert await fired(2 * HOUR, *crons) == [BEGIN + HOUR] * 700 + [BEGIN + 2 * HOUR] * 700


async def test_what_came_due_while_nothing_ran_is_told_beside_what_is_next(kit, engine, clock):
    crons = [Cron("0 * * * *"), Cron("at(2027-01-15T09:30:00)", name="once")]
    async with kit.serving(*(kit.Recorder(cron, engine) for cron in crons)):
        pass
    clock.advance(2 * 3600 + 60)
    async with kit.serving(*(kit.Recorder(cron, engine) for cron in crons)) as texts:
        assert texts == [
            "0 * * * *, overdue since 2027-01-15 09:00:00+00:00, next 2027-01-15 11:00:00+00:00",
            "once, overdue since 2027-01-15 09:30:00+00:00, none follows",
        ]


async def test_what_its_window_delays_is_not_overdue(kit, engine, clock):
    """Its second in the window is made of its name: this one's is late."""
    cron = Cron("0 * * * *", window=3000)
    async with kit.serving(kit.Recorder(cron, engine)):
        pass
    clock.advance(3600 + 1)
    async with kit.serving(kit.Recorder(cron, engine)) as texts:
        assert texts == ["0 * * * *, next 2027-01-15 09:00:00+00:00"]


async def test_schedules_that_are_still_to_be_planned_hold_up_no_other(kit, engine, clock):
    """Thousands of them: others in the event loop have their turn all the while, and what is due fires meanwhile."""
    crons = [Cron("0 * * * *", name=f"n{n}") for n in range(3000)]
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        async with kit.serving(*(kit.Recorder(cron, engine) for cron in crons)) as texts:
            assert texts[0] == "n0, next 2027-01-15 09:00:00+00:00"
            assert texts[-1] == "n2999"
            await kit.at_rest(clock)
            assert turns > 3000 / 32
        tasks.cancel_scope.cancel()


# A clock that is set.


async def test_a_clock_set_forward_is_as_an_outage(kit, engine, clock):
    crons = [Cron("0 * * * *", misfire=misfire, name=misfire) for misfire in ("once", "all", "skip")]
    async with kit.serving(*(kit.Recorder(cron, engine) for cron in crons)):
        await kit.at_rest(clock)
        clock.step(3 * HOUR + 30 * MINUTE)
        await kit.at_rest(clock)
    instants = {event.subject: [] for event in engine.events}
    for event in engine.events:
        instants[event.subject].append(int(event.time.timestamp() - BEGIN) // HOUR)
    assert instants == {"once": [3], "all": [1, 2, 3]}


async def test_a_clock_set_back_a_little_repeats_nothing(kit, engine, clock):
    async with kit.serving(kit.Recorder(Cron("0 * * * *", misfire="all"), engine)):
        await kit.pass_time(clock, 2 * HOUR)
        clock.step(-2 * HOUR)
        await kit.pass_time(clock, 2 * HOUR)
        assert engine.instants == [BEGIN + HOUR, BEGIN + 2 * HOUR]
        await kit.pass_time(clock, HOUR)
    assert engine.instants[2:] == [BEGIN + 3 * HOUR]


async def test_a_clock_that_was_years_ahead_is_forgotten(kit, engine, clock, caplog):
    """It showed 2037 for a while. What fired then does not keep schedules silent until 2037."""
    with caplog.at_level(logging.WARNING, "fnframe.cron"):
        async with kit.serving(kit.Recorder(Cron("0 * * * *"), engine)):
            await kit.at_rest(clock)
            clock.step(10 * 365 * DAY)
            await kit.pass_time(clock, HOUR)
            assert len(engine.events) == 2
            clock.step(-10 * 365 * DAY)
            await kit.pass_time(clock, HOUR)
            assert engine.instants[2:] == [BEGIN + 2 * HOUR]
    assert "the clock was set back by more than 3 hours: schedules go on from now" in caplog.text


async def test_a_clock_that_is_set_back_before_all_is_planned(kit, engine, clock):
    crons = [Cron("0 * * * *", name=f"n{n}") for n in range(700)]
    clock.step(10 * 365 * DAY)
    async with kit.serving(*(kit.Recorder(cron, engine) for cron in crons)):
        clock.step(-10 * 365 * DAY)
        await kit.pass_time(clock, HOUR)
    assert engine.instants == [BEGIN + HOUR] * 700
    noted = [value for state in engine.states.values() for value in state.values.values()]
    assert noted == [b'{"done":%d,"fired":%d}' % (BEGIN + HOUR, BEGIN + HOUR)] * 700


async def test_a_clock_that_was_years_ahead_before_the_start_is_forgotten(fired, engine):
    cron = Cron("0 * * * *")
    engine.clock.step(10 * 365 * DAY)
    assert len(await fired(HOUR, cron)) == 1
    engine.clock.step(-10 * 365 * DAY)
    assert await fired(2 * HOUR, cron) == [BEGIN + 2 * HOUR, BEGIN + 3 * HOUR]
