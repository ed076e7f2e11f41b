"""Environments that are kept warm are billed for their own time."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from fnframe.event import new_id

from .usage import Usage

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe.lifespan import RunningApp

    from .budgets import Budgets
    from .ledger import Ledger
    from .writer import Writer

SLOT = 300
"""Seconds for which they are billed ahead, as Lambda rounds their time up."""


async def reserve_warm(
    running: RunningApp, ledger: Ledger, budgets: Budgets, writer: Writer, *, task_status: TaskStatus[None]
) -> None:
    """Bill the environments that are kept warm, while the app serves its triggers: for each slot when it begins."""
    task_status.started()
    run, due = new_id(), running.clock.monotonic()
    while True:
        warm = [function for function in running.manifest.functions if function.provisioned_concurrency]
        now = time.time()
        if warm:
            await run_sync(ledger.reserve, run, warm, platform.node(), int(now * 1000), SLOT * 1000)
        for function in warm:
            usage = Usage(reserved_mb_ms=SLOT * 1000 * function.memory * function.provisioned_concurrency)
            budgets.add(function.name, None, function.tags, usage, now)
            writer.wake()
        due += SLOT
        await running.clock.wait(anyio.Event(), due)
