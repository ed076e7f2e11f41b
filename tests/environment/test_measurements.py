"""The figures of a report against another source: clocks that the handler and the caller read, and the kernel's."""

from __future__ import annotations

import datetime as dt
import time

import anyio
import pytest
from facts import until

from fnframe.environment import memory
from fnframe.event import now
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

APP = """
import os
import subprocess
import sys
import threading
import time
from fnframe import App

app = App("measured")
BURN = "import time; begin = time.process_time()\\nwhile time.process_time() - begin < 0.05: pass"


@app.on_start
def start():
    time.sleep(0.05)


@app.function()
def sleeps(seconds):
    begin = time.monotonic()
    time.sleep(seconds)
    return [begin, time.monotonic(), time.time()]


def burn(seconds, clock=time.process_time):
    begin = clock()
    while clock() - begin < seconds:
        pass


@app.function(timeout=30.0)
def burns(how):
    before = os.times()
    match how:
        case "itself":
            burn(0.05)
        case "thread":
            thread = threading.Thread(target=burn, args=(0.05, time.thread_time))
            thread.start()
            thread.join()
        case "program":
            subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
        case "nothing":
            pass
        case "leave":
            threading.Thread(target=burn, args=(0.05, time.thread_time)).start()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


@app.function(timeout=30.0)
def fakes_the_clock():
    time.perf_counter_ns = time.perf_counter = time.monotonic = time.time = lambda: 0
    burn(0.05)


@app.function(timeout=30.0)
def burns_and_dies():
    burn(0.05)
    os._exit(1)
"""


@pytest.fixture
async def running(write_app):
    async with run_target(write_app(APP), settings={"max_environments": 1}) as running:
        yield running


async def test_the_times_of_a_cold_start_follow_each_other_and_fill_the_callers_wait(running):
    begin, begin_at = time.monotonic(), now()
    outcome = await running.invoke("sleeps", 0.03)
    elapsed = (time.monotonic() - begin) * 1000
    handler_began, handler_ended, handler_at = outcome.unwrap()
    report = outcome.report
    assert (handler_ended - handler_began) * 1000 <= report.duration_ms
    assert report.init_duration_ms >= 50, "its start function slept so long"
    parts = report.queued_ms + report.init_duration_ms + report.duration_ms
    assert parts <= elapsed
    assert report.queued_ms + report.init_duration_ms <= (handler_began - begin) * 1000
    # Both ends in time that does not jump; what the caller waited besides is two wake-ups.
    assert begin_at + dt.timedelta(milliseconds=report.init_duration_ms - 1) <= report.started_at
    assert report.started_at <= dt.datetime.fromtimestamp(handler_at, dt.UTC)


async def test_a_warm_one_has_no_init_and_waits_for_the_one_before(running):
    asked, outcomes = {}, {}

    async def invoke(name, seconds):
        asked[name] = time.monotonic()
        outcomes[name] = await running.invoke("sleeps", seconds)

    await running.invoke("sleeps", 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(invoke, "first", 0.1)
        await until(lambda: any(environment.in_flight for environment in running.pool._live))
        tasks.start_soon(invoke, "second", 0)
    first, second = outcomes["first"], outcomes["second"]
    assert second.report.init_duration_ms is None
    # From where the first ended to where the handler says that it began, and a busy machine may lie between.
    waited = [(moment - asked["second"]) * 1000 for moment in (first.unwrap()[1], second.unwrap()[0])]
    assert waited[0] - 1 <= second.report.queued_ms <= waited[1] + 1
    assert first.report.queued_ms <= (first.unwrap()[0] - asked["first"]) * 1000 + 1


async def test_times_do_not_overlap_where_one_is_sent_ahead_of_its_turn(running):
    """The environment begins the next one before the host has heard the end of the one before."""
    await running.invoke("sleeps", 0)
    running.pool._lanes["sleeps"].longest = 0.0  # As if it had been short for long: the pool sends ahead.
    overlaps = []

    async def invoke():
        begin = time.monotonic()
        report = (await running.invoke("sleeps", 0.0002)).report
        parts = report.queued_ms + (report.init_duration_ms or 0.0) + report.duration_ms
        overlaps.append(parts - (time.monotonic() - begin) * 1000)

    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(invoke)
    assert max(overlaps) <= 0


@pytest.mark.parametrize("how", ["itself", "thread", "program"])
async def test_processor_time_is_the_processs_own_with_its_threads_and_children(running, how):
    await running.invoke("burns", "nothing")
    outcome = await running.invoke("burns", how)
    assert outcome.report.cpu_ms >= 50
    # What the handler reads of it counts in hundredths of a second; the kernel, in microseconds.
    assert outcome.report.cpu_ms == pytest.approx(outcome.unwrap() * 1000, abs=45)
    waits = await running.invoke("sleeps", 0.05)
    assert waits.report.cpu_ms < waits.report.duration_ms


async def test_processor_time_of_one_that_died_is_what_its_exit_status_told(running):
    outcome = await running.invoke("burns_and_dies")
    assert outcome.error_type == "Runtime.ExitError"
    assert 50 <= outcome.report.cpu_ms < 150
    assert outcome.report.duration_ms >= 50


async def test_a_handler_that_fakes_the_clock_does_not_change_its_duration(running):
    """As freezegun and its like do, and leave it so."""
    for _ in range(2):
        assert (await running.invoke("fakes_the_clock")).report.duration_ms >= 50


async def test_no_processor_time_escapes(running):
    """The sum of an environment's reports is what the kernel tells of the process: left threads count for the next."""
    await running.invoke("burns", "nothing")
    (environment,) = running.pool._live
    await until(lambda: environment.pid)
    _, before = memory.used(environment.pid)
    told = 0.0
    for how in ["leave", *["nothing"] * 20]:
        told += (await running.invoke("burns", how)).report.cpu_ms
    await until(lambda: memory.threads(environment.pid) == 1)
    told += (await running.invoke("burns", "nothing")).report.cpu_ms
    _, after = memory.used(environment.pid)
    assert told == pytest.approx((after - before) / 1000, abs=15)
    assert told >= 50
