"""When nothing goes on by itself any more: the moment at which a test may turn the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

QUIET_TURNS = 3
"""Turns of the loop in which nobody was about to run: a callback, which no list of tasks shows, may wake somebody."""
PAUSE = 0.0005
"""Seconds between two looks at what happens in another process or thread."""


async def all_waiting(is_busy: Callable[[], bool]) -> None:
    """Return when every other task waits for something that does not come by itself: a message, or a moment.

    `is_busy` tells whether something goes on elsewhere, in another process say, which the tasks here wait for.
    """
    quiet = 0
    while quiet < QUIET_TURNS:
        if is_busy():
            await anyio.sleep(PAUSE)
            quiet = 0
        elif await _is_anybody_ready():
            quiet = 0
        else:
            quiet += 1


async def _is_anybody_ready() -> bool:
    """Let the others have a turn; whether one of them is about to have another."""
    loop = asyncio._get_running_loop()
    if loop is None:
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()
        return False
    await checkpoint()
    this = asyncio.current_task(loop)
    return any(task is not this and _is_ready(task) for task in asyncio.all_tasks(loop))


def _is_ready(task: asyncio.Task[object]) -> bool:
    # As anyio's own `wait_all_tasks_blocked`, which sleeps for a tenth of a second between two looks.
    waiter = task._fut_waiter  # type: ignore[attr-defined]
    return waiter is None or waiter.done()
