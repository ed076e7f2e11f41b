"""Waiting for facts, and asking for them."""

from __future__ import annotations

import inspect
import os
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from fnframe.runtime.running import Running
    from fnframe.testing.clock import ManualClock


async def until(condition: Callable[[], object], clock: ManualClock | None = None) -> None:
    """Return when the condition, which may be async, holds; fail after thirty seconds. Meanwhile a clock is turned,
    if there is one."""
    with anyio.fail_after(30):
        while not (await found if inspect.isawaitable(found := condition()) else found):
            if clock is not None:
                clock.advance(0.1)
            await anyio.sleep(0.002)


async def live_pids(running: Running, function: str | None = None) -> list[int]:
    """The processes of the environments that live, all or a function's. A reply may come before the template's word of
    who gives it."""
    living = [each for each in running.pool._live if each.reason is None and function in (None, each.function)]
    await until(lambda: all(environment.pid or environment.reason for environment in living))
    return [environment.pid for environment in living if environment.pid]


async def passing(clock: ManualClock, seconds: float) -> None:
    """Turn a clock as a running host would see it go on: nothing runs out that somebody extends."""
    for _ in range(round(seconds)):
        clock.advance(1.0)
        for _ in range(20):  # Turns of the loop in which whoever was woken does what it was woken for.
            await anyio.lowlevel.checkpoint()


def at_work(running: Running) -> bool:
    """Whether something runs in an environment, or waits for one: that takes the machine's time."""
    pool = getattr(running, "pool", None)  # A host without processes has none.
    return pool is not None and bool(pool._waiting or any(environment.in_flight for environment in pool._live))


async def drained(running: Running, clock: ManualClock) -> None:
    """Turn the clock to each moment that somebody waits for, until nothing is left to do. While something runs it
    stands still: else a slow machine's invocation would take minutes of it."""
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            done = anyio.Event()

            async def wait() -> None:
                await running.drained()
                done.set()

            tasks.start_soon(wait)
            while not done.is_set():
                if not at_work(running):
                    clock.advance(0.1)
                await anyio.sleep(0.002)


def state_of(pid: int) -> str:
    """The letter of a process's state; `Z`, a zombie, also where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie. The first of several threads is one before the others have
    ended, and so long what is sent to the process is taken."""
    if state_of(pid) != "Z":
        return True
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    """A port of loopback that nobody has, from below those that the system gives to who asks for any: else another
    test, or a client of one, might have it a moment later."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    first = max(lowest // 2, 1024)
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(first, max(lowest, first + 1000))))  # noqa: S311
            return int(probe.getsockname()[1])
