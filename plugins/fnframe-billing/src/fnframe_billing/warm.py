"""Environments that are kept warm are billed for their own time."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from fnframe.event import new_id

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe.lifespan import RunningApp

    from .keeping import Keeping

SLOT = 300
"""Seconds for which they are billed ahead, as Lambda rounds their time up."""


async def reserve_warm(running: RunningApp, keeping: Keeping, *, task_status: TaskStatus[None]) -> None:
    """Bill the environments that are kept warm, while the app serves its triggers: for each slot when it begins."""
    task_status.started()
    run, due = new_id(), running.clock.monotonic()
    while True:
        warm = [function for function in running.manifest.functions if function.provisioned_concurrency]
        if warm:
            await run_sync(keeping.reserve, run, warm, platform.node(), time.time(), SLOT * 1000)
        due += SLOT
        await running.clock.wait(anyio.Event(), due)
