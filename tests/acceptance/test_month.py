"""A month of an app, on a clock that is turned: schedules, retries, leases and idle ends, in about a second."""

from __future__ import annotations

import datetime as dt
import time

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fnframe import hookimpl
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio

DAY, DAYS = 86_400, 31
BEGIN = dt.datetime(2027, 3, 1, tzinfo=dt.UTC).timestamp()

APP = """
import time
from pathlib import Path

from fnframe import App, Context
from fnframe_cron import Cron, Tick

app = App("month")
HERE = Path(__file__).parent


@app.function(Cron("0 * * * *"), isolation="inline", retries=2)
async def hourly(tick: Tick, context: Context) -> None:
    if tick.scheduled.hour % 6 == 0 and context.attempt < 3:
        raise ValueError("not now")


@app.function(Cron("30 3 * * MON"), timeout=60)
def weekly(tick: Tick, context: Context) -> int:
    while not (HERE / f"{tick.scheduled:%d}").exists():
        time.sleep(0.001)
    return context.attempt
"""


class Heard:
    """What ended, and each attempt."""

    def __init__(self):
        self.settled = []
        self.reports = []

    @hookimpl
    def fnframe_event_settled(self, function, event, outcome, attempts):
        outcome.unwrap()
        self.settled.append((function.name, event.time.timestamp(), attempts))

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.reports.append(report)

    def of(self, function):
        return [(moment, attempts) for name, moment, attempts in self.settled if name == function]


async def turn(clock, moment):
    """Let time pass until a moment, each thing in its turn."""
    while clock.time() < moment:
        following = min((at for at in clock.moments() if at > clock.time()), default=moment)
        clock.advance(min(following, moment) - clock.time())
        for _ in range(20):
            await checkpoint()


async def until(fact):
    with anyio.fail_after(20):
        while not fact():
            await anyio.sleep(0.001)


async def test_a_month_of_an_app(write_app, tmp_path):
    clock, heard = ManualClock(BEGIN), Heard()
    settings = {"idle_timeout": 900.0, "lease": 30.0}
    async with run_target(write_app(APP), clock=clock, plugins=[heard], settings=settings) as running:
        began, used = time.monotonic(), time.process_time()
        queue = running.engine.queue("function:weekly")
        for monday in range(0, DAYS, 7):
            night = BEGIN + monday * DAY + 3.5 * 3600
            await turn(clock, night)
            await until(lambda: running.pool.statistics()["live"] == 1)
            await turn(clock, night + 300)  # Ten leases long.
            assert (await queue.statistics()).leased == 1
            (tmp_path / f"{monday + 1:02}").touch()
            await until(lambda: len(heard.of("weekly")) == monday // 7 + 1)  # noqa: B023
            await turn(clock, night + 1500)
            await until(lambda: running.pool.statistics()["live"] == 0)
        await turn(clock, BEGIN + DAYS * DAY + 60)  # The last hour is one that is tried again.
        await running.drained()
        seconds, used = time.monotonic() - began, time.process_time() - used
    assert heard.of("weekly") == [(BEGIN + day * DAY + 3.5 * 3600, 1) for day in range(0, DAYS, 7)]
    hours = [(BEGIN + hour * 3600, 3 if hour % 6 == 0 else 1) for hour in range(1, DAYS * 24 + 1)]
    assert sorted(heard.of("hourly")) == hours
    assert len(heard.reports) == 5 + sum(attempts for _, attempts in hours)
    assert all(report.init_duration_ms for report in heard.reports if report.function == "weekly")
    assert used < 5.0, f"{seconds:.1f} s"  # On a machine of its own the month takes about one.
    print(f"{seconds:.2f} s, {used:.2f} s of processor time")
