"""Time: the machine's, and the one that tests turn."""

from __future__ import annotations

import time

import anyio
import pytest

from fnframe import clock as clock_module
from fnframe.clock import SystemClock
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


class Waiting:
    """One who waits for a time of day."""

    def __init__(self, clock, until):
        self.clock = clock
        self.until = until
        self.called = anyio.Event()
        self.woken = None

    async def __call__(self):
        await self.clock.wait_for_time(self.called, self.until)
        self.woken = self.clock.time()


async def settle():
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


async def test_time_passes_when_it_is_told_to():
    clock = ManualClock(1000.0)
    async with anyio.create_task_group() as tasks:
        early, late = Waiting(clock, 1010.0), Waiting(clock, 1020.0)
        tasks.start_soon(early)
        tasks.start_soon(late)
        await settle()
        assert clock.next_moment() == 1010.0
        clock.advance(10)
        await settle()
        assert (early.woken, late.woken) == (1010.0, None)
        late.called.set()
        await settle()
        assert late.woken == 1010.0
        assert clock.next_moment() is None


async def test_what_somebody_waits_for_besides_has_not_happened_because_time_is_over():
    """As with the machine's clock: who looks at the event afterwards must not be told that it is set."""
    clock = ManualClock(1000.0)
    async with anyio.create_task_group() as tasks:
        waiting = Waiting(clock, 1010.0)
        tasks.start_soon(waiting)
        await settle()
        clock.advance(10)
        await settle()
        assert waiting.woken == 1010.0
        assert not waiting.called.is_set()


async def test_a_clock_that_is_set_forward_wakes_whose_time_has_come():
    clock = ManualClock(1000.0)
    async with anyio.create_task_group() as tasks:
        waiting = Waiting(clock, 1010.0)
        tasks.start_soon(waiting)
        await settle()
        clock.step(5)
        await settle()
        assert waiting.woken is None
        assert clock.next_moment() == 1010.0
        assert (clock.time(), clock.monotonic()) == (1005.0, 1000.0)
        clock.step(5)
        await settle()
        assert waiting.woken == 1010.0


async def test_a_clock_that_is_set_back_wakes_all_who_wait_for_a_time():
    clock = ManualClock(1000.0)
    monotonic = anyio.Event()
    async with anyio.create_task_group() as tasks:
        waiting = Waiting(clock, 1010.0)
        tasks.start_soon(waiting)
        tasks.start_soon(clock.wait, monotonic, 1010.0)
        await settle()
        clock.step(-100)
        await settle()
        assert waiting.woken == 900.0
        assert not monotonic.is_set()
        clock.advance(10)


async def test_the_machines_clock():
    clock = SystemClock()
    begin = time.time()
    await clock.wait_for_time(anyio.Event(), begin + 0.05)
    assert time.time() >= begin + 0.05
    await clock.wait_for_time(anyio.Event(), begin)
    called = anyio.Event()
    called.set()
    with anyio.fail_after(5):
        await clock.wait_for_time(called, begin + 3600)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_step_of_the_machines_clock_is_noticed(monkeypatch, step):
    """The clock is looked at anew all the while, since nobody tells that it was set."""
    monkeypatch.setattr(clock_module, "LOOK", 0.01)
    stepped = 0.0
    monkeypatch.setattr(clock_module.time, "time", lambda real=time.time: real() + stepped)
    clock = SystemClock()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.wait_for_time, anyio.Event(), clock.time() + 1800.0)
            await anyio.sleep(0.02)
            stepped = step
