"""Billing around a running app."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from anyio.lowlevel import checkpoint
from anyio.to_thread import run_sync

from fnframe.clock import SystemClock

from .billing import Billing
from .book import find_book
from .budgets import Budgets
from .checks import check_budgets, check_ledger
from .collector import Sender
from .consumer import Consumer
from .hearing import register
from .keeping import Keeping
from .ledger import Ledger
from .schema import MEMORY
from .settings import Settings
from .warm import reserve_warm
from .writer import GATHER, Writer

if TYPE_CHECKING:
    from fnframe.lifespan import RunningApp, Services

    from .book import PriceBook

log = logging.getLogger("fnframe.billing")

PRUNING = 3600.0
"""Seconds from one look for rows that are too old to the next."""
LAST_SENDING = 5.0
"""Seconds for sending what a collector does not have yet, when the app ends; the next run sends what is left."""
LAST_READING = 10.0
"""Seconds for taking what the engine kept, when the app ends; the next run takes what is left."""


@asynccontextmanager
async def lifespan(running: RunningApp) -> AsyncIterator[Services | None]:
    """Record what runs, let budgets refuse, and offer `running.billing`. Raises `ConfigurationError`.

    Where somebody turns the clock it is a test, whose invocations belong on nobody's bill: its ledger is in memory, and
    no collector hears of them.
    """
    settings = cast("Settings", running.settings_of("billing"))
    if not settings.enabled:
        yield None
        return
    directory = Path(running.manifest.directory)
    book = find_book(settings.price, directory)
    check_budgets(settings.budgets, running.manifest)
    tested = not isinstance(running.clock, SystemClock)
    ledger = Ledger(MEMORY if tested else _place(running, settings, directory), running.manifest.app)
    if running.serves == "none":  # Nothing will run that could be recorded.
        yield {"billing": Billing(ledger, book, settings.free_tier)}
        return
    budgets = Budgets(settings.budgets, book)
    keeping = Keeping(ledger, budgets)
    writer = Writer(keeping, GATHER if settings.commit == "grouped" else 0.0)
    streams = {} if running.serves == "calls" else running.reports  # What others ran, they or the next run write.
    consumers = [Consumer(name, stream, keeping) for name, stream in streams.items()]
    sender = None if tested else _sender(settings, ledger, running, book)
    await run_sync(check_ledger, ledger)
    await _catch_up(consumers)
    await run_sync(budgets.begin, ledger)
    register(running, budgets, writer, hold=settings.commit == "before-reply")
    running.run_with_triggers(partial(reserve_warm, running, keeping))
    writer.start()

    async def flush() -> None:
        await _catch_up(consumers)
        await writer.written()

    try:
        async with anyio.create_task_group() as tasks:
            for consumer in consumers:
                tasks.start_soon(consumer.run)
            tasks.start_soon(_prune, running, ledger, settings.keep_days, sender)
            if sender is not None:
                tasks.start_soon(sender.run)
            yield {"billing": Billing(ledger, book, settings.free_tier, flush)}
            tasks.cancel_scope.cancel()
    finally:
        with anyio.move_on_after(LAST_READING, shield=True):
            await _finish(consumers)
        with anyio.CancelScope(shield=True):
            await run_sync(writer.end)
        if sender is not None:
            with anyio.move_on_after(LAST_SENDING, shield=True):
                await _send_rest(sender)
        ledger.close()


def _place(running: RunningApp, settings: Settings, directory: Path) -> Path | str:
    """Where the ledger is. Who calls a function once begins none, unless the settings say anything of billing."""
    path = settings.path(directory)
    is_asked = running.serves != "calls" or settings != Settings() or Path(path).exists()
    return path if is_asked else MEMORY


async def _prune(running: RunningApp, ledger: Ledger, days: int, sender: Sender | None) -> None:
    """Forget the rows of invocations that are too old, and that the collector has, if there is one."""
    while True:
        before = int((time.time() - days * 86_400) * 1000)
        try:
            keep_from = None if sender is None else await run_sync(sender.sent) + 1
            while ledger.exists() and await run_sync(partial(ledger.prune, before, keep_from)) > 0:
                await checkpoint()
        except Exception as error:
            log.warning("old rows of the ledger cannot be removed (%s); trying again later", error)
        await running.clock.wait(anyio.Event(), running.clock.monotonic() + PRUNING)


def _sender(settings: Settings, ledger: Ledger, running: RunningApp, book: PriceBook) -> Sender | None:
    if settings.collector is None:
        return None
    return Sender(settings.collector, ledger, running.manifest.app, init_billed=book.init_billed)


async def _send_rest(sender: Sender) -> None:
    """Send what is left; where the collector does not take it, the next run tries again."""
    try:
        while await sender.send_batch():
            pass
    except Exception as error:
        log.warning("the last usage is not taken by the collector (%s); the next run sends it", error)


async def _catch_up(consumers: Iterable[Consumer]) -> None:
    for consumer in consumers:
        await consumer.catch_up()


async def _finish(consumers: Iterable[Consumer]) -> None:
    try:
        await _catch_up(consumers)
    except Exception as error:
        told = "the last reports cannot be taken to the ledger (%s: %s); where the engine keeps them, the next run does"
        log.error(told, type(error).__name__, error)  # noqa: TRY400
