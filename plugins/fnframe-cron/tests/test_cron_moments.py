"""When a schedule fires: the calendar against cronsim and brute force, the zones against a clock on the wall."""

from __future__ import annotations

import calendar
import datetime as dt
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from cron_oracle import DAY, Wall, job, transitions
from cronsim import CronSim, CronSimError
from fnframe_cron.moments import moments
from fnframe_cron.zone import STRIDE, zone
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fnframe import ConfigurationError

ZONES = sorted(available_timezones())
FROM, UNTIL = 1_577_836_800, 2_082_758_400  # 2020 to 2035, all of it


def instant(text: str, tz: str = "UTC") -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp())


def firings(expression: str, tz: str, begin: int, end: int) -> list[int]:
    """From `begin` until before `end`."""
    return list(takewhile(lambda instant: instant < end, forwards(expression, tz, begin)))


def local(expression: str, tz: str, begin: str, count: int) -> list[str]:
    """The first firings as the zone's clocks show them."""
    found = islice(forwards(expression, tz, instant(begin, tz)), count)
    return [str(dt.datetime.fromtimestamp(at, ZoneInfo(tz))) for at in found]


def forwards(expression: str, tz: str, begin: int):
    after = begin - 1
    while (after := moments(expression, tz).next(after)) is not None:
        yield after


def test_a_time_of_a_chosen_hour_comes_once_a_day():
    assert local("30 2 * * *", "Europe/Berlin", "2026-03-28", 3) == [
        "2026-03-28 02:30:00+01:00",
        "2026-03-29 03:00:00+02:00",
        "2026-03-30 02:30:00+02:00",
    ]
    assert local("30 2 * * *", "Europe/Berlin", "2026-10-24", 3) == [
        "2026-10-24 02:30:00+02:00",
        "2026-10-25 02:30:00+02:00",
        "2026-10-26 02:30:00+01:00",
    ]


def test_times_that_are_leapt_over_come_as_one():
    assert local("*/10 2 * * *", "Europe/Berlin", "2026-03-29", 2) == [
        "2026-03-29 03:00:00+02:00",
        "2026-03-30 02:00:00+02:00",
    ]


def test_every_hour_comes_as_often_as_hours_pass():
    assert local("0 * * * *", "Europe/Berlin", "2026-03-29T01:00", 3) == [
        "2026-03-29 01:00:00+01:00",
        "2026-03-29 03:00:00+02:00",
        "2026-03-29 04:00:00+02:00",
    ]
    assert local("0 * * * *", "Europe/Berlin", "2026-10-25T01:00", 4) == [
        "2026-10-25 01:00:00+02:00",
        "2026-10-25 02:00:00+02:00",
        "2026-10-25 02:00:00+01:00",
        "2026-10-25 03:00:00+01:00",
    ]


def test_the_last_times_of_a_calendar_are_shown_once_more():
    """At midnight Santiago's clocks go back to 23:00: nothing is left but what they show again."""
    assert local("cron(30 * 4 4 ? 2026)", "America/Santiago", "2026-04-04T22:00", 9) == [
        "2026-04-04 22:30:00-03:00",
        "2026-04-04 23:30:00-03:00",
        "2026-04-04 23:30:00-04:00",
    ]


def test_a_rate_counts_from_the_epoch_whatever_clocks_show():
    assert firings("rate(7 hours)", "Europe/Berlin", 0, 70 * 3600) == list(range(0, 70 * 3600, 7 * 3600))


def test_one_time_comes_once():
    assert local("at(2026-03-29T02:30:00)", "Europe/Berlin", "2026-01-01", 5) == ["2026-03-29 03:00:00+02:00"]
    assert local("at(2026-10-25T02:30:00)", "Europe/Berlin", "2026-01-01", 5) == ["2026-10-25 02:30:00+02:00"]


@pytest.mark.parametrize("expression", ["cron(0 12 * * ? 2002-2005)", "cron(0 0 29 2 ? 2021,2022)"])
def test_what_has_no_time_left_says_so(expression):
    assert moments(expression, "Europe/Berlin").next(FROM) is None


@st.composite
def fields(draw) -> str:
    def field(low: int, high: int) -> str:
        value = st.integers(low, high)
        pair = st.tuples(value, value).map(sorted)
        ranges = pair.map(lambda p: f"{p[0]}-{p[1]}")
        wide = pair.filter(lambda p: p[0] < p[1])
        stepped = st.tuples(wide, st.integers(1, 20)).map(
            lambda p: f"{p[0][0]}-{p[0][1]}/{min(p[1], p[0][1] - p[0][0])}"
        )
        lists = st.lists(value, min_size=1, max_size=4).map(lambda chosen: ",".join(map(str, chosen)))
        stars = st.integers(1, high - low).map(lambda step: f"*/{step}")
        return draw(st.one_of(st.just("*"), value.map(str), ranges, stepped, lists, stars))

    days = [field(1, 31), field(0, 6)]
    if draw(st.booleans()):
        days = draw(st.sampled_from([["L", "*"], ["*", "5L"], ["*", "2#5"], ["*", "0#1"]]))
    return " ".join([field(0, 59), field(0, 23), days[0], field(1, 12), days[1]])


@settings(max_examples=100)
@given(fields(), st.integers(FROM, UNTIL))
def test_the_calendar_is_cronsims(expression, begin):
    begin_at = dt.datetime.fromtimestamp(begin, dt.UTC)
    try:
        schedule = moments(expression, "UTC")
    except ConfigurationError:
        with pytest.raises(CronSimError):
            CronSim(expression, begin_at)
        return
    expected = CronSim(expression, begin_at)
    after = begin
    for _ in range(3):
        found = schedule.next(after)
        theirs = next(expected, None)
        assert found == (theirs and int(theirs.timestamp()))
        if found is None:
            break
        after = found


@settings(max_examples=50)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "America/St_Johns", "America/Havana", "Africa/Casablanca"]),
    st.sampled_from(["*/15 * * * *", "7 * * * *", "0 */3 * * *", "30 1 * * *", "15 2 * * *", "0 0,3 * * *"]),
    st.integers(FROM, UNTIL),
)
def test_cronsim_has_the_same_rule_for_these(tz, expression, begin):
    """Debian's: it differs where every minute of a chosen hour is meant, and repeats what a gap makes one. (Where
    clocks are set by half an hour, cronsim loses an hour's zero.)"""
    where = dt.datetime.fromtimestamp(begin, ZoneInfo(tz))
    theirs = {int(at.timestamp()) for at in islice(CronSim(expression, where), 30)} - {begin}
    end = max(theirs)
    assert firings(expression, tz, begin + 1, end + 1) == sorted(theirs)


@pytest.mark.parametrize("day", [1, 2, 15, 28, 30, 31])
def test_the_nearest_weekday_of_a_month(day):
    found = [dt.datetime.fromtimestamp(at, dt.UTC).date() for at in firings(f"0 0 {day}W * *", "UTC", FROM, UNTIL)]
    expected = []
    for year, month in ((year, month) for year in range(2020, 2036) for month in range(1, 13)):
        last = calendar.monthrange(year, month)[1]
        wanted = min(day, last)
        weekdays = [d for d in range(1, last + 1) if dt.date(year, month, d).weekday() < 5]
        expected.append(dt.date(year, month, min(weekdays, key=lambda d: abs(d - wanted))))
    assert found == expected


def test_the_last_weekday_of_a_month():
    found = [dt.datetime.fromtimestamp(at, dt.UTC).date() for at in firings("0 0 LW * *", "UTC", FROM, UNTIL)]
    expected = []
    for year, month in ((year, month) for year in range(2020, 2036) for month in range(1, 13)):
        days = [dt.date(year, month, d) for d in range(1, calendar.monthrange(year, month)[1] + 1)]
        expected.append([day for day in days if day.weekday() < 5][-1])
    assert found == expected


def changes(tz: str) -> list[int]:
    """When a zone's clocks are set, as the plugin knows it."""
    found = []
    for before, after in pairwise(zone(tz).spans(FROM)):
        if before.end > UNTIL:
            return found
        if before.offset != after.offset:
            found.append(after.start)
    raise AssertionError


minutes = st.frozensets(st.sampled_from(range(0, 60, 5)), min_size=1, max_size=4)
hours = st.one_of(st.integers(1, 12), st.frozensets(st.integers(0, 23), min_size=1, max_size=6))


@settings(max_examples=40)
@given(st.sampled_from(ZONES), st.builds(job, minutes, hours), st.data())
@example("Australia/Lord_Howe", job([0]), None)
@example("Europe/Berlin", job([0], 2), None)
@example("Antarctica/Troll", job([30], [0, 1, 2]), None)
@example("Africa/Casablanca", job([15], [2]), None)
def test_every_zone_is_as_its_clocks_on_the_wall(tz, schedule, data):
    moved = changes(tz) or [FROM + 30 * DAY]
    at = moved[0] if data is None else data.draw(st.sampled_from(moved))
    begin = at // DAY * DAY - DAY
    wall = Wall(tz, begin - 2 * DAY, begin + 5 * DAY)
    expected = wall.firings(schedule, begin, begin + 3 * DAY)
    assert firings(schedule.expression, tz, begin, begin + 3 * DAY) == expected
    # From anywhere between them, too: an app starts when it starts.
    for after in range(at - 7200, at + 7200, 660):
        following = next((instant for instant in expected if instant > after), None)
        if following is not None:
            assert moments(schedule.expression, tz).next(after) == following


@pytest.mark.parametrize("tz", ["Europe/Berlin", "Africa/Casablanca", "America/Asuncion", "Antarctica/Casey", "UTC"])
def test_no_change_of_the_clocks_is_overlooked(tz):
    begin, end = 1_577_836_800, 1_767_225_600  # 2020 to 2025: Casey changed its clocks six times
    found = [at for at in changes(tz) if begin < at < end]
    assert found == [at for at in transitions(tz, begin, end) if begin < at < end]
    assert all(later - earlier > STRIDE for earlier, later in pairwise(found))


def test_a_zone_can_be_asked_for_what_was_long_ago():
    assert zone("Europe/Berlin").offset(0) == 3600
    assert moments("0 12 * * *", "Europe/Berlin").next(instant("1980-04-06", "Europe/Berlin")) == instant(
        "1980-04-06T12:00", "Europe/Berlin"
    )
    assert moments("0 12 * * *", "Europe/Berlin").next(FROM) == instant("2020-01-01T12:00", "Europe/Berlin")


@settings(max_examples=100)
@given(
    st.sampled_from(["*/5 * * * *", "0 3 * * *", "* 3 * * *", "*/7 2-4 * * * *", "0 0 1 * *", "rate(45 minutes)"]),
    st.sampled_from(["UTC", "Europe/Berlin"]),
    st.integers(FROM, UNTIL),
    st.integers(0, 40 * DAY),
)
def test_the_latest_of_those_that_are_over(expression, tz, begin, span):
    schedule = moments(expression, tz)
    first = schedule.next(begin)
    until = max(first, begin + span)
    latest = schedule.latest(first, until)
    assert first <= latest <= until < schedule.next(latest)
    assert schedule.next(latest - 1) == latest
