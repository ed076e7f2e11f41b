"""Billing around a running app."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from anyio.lowlevel import checkpoint
from anyio.to_thread import run_sync

from fnframe import ConfigurationError, hookimpl
from fnframe.errors import nearest
from fnframe.event import new_id

from .billing import Billing
from .book import find_book
from .budgets import Budgets
from .consumer import Consumer
from .ledger import Ledger
from .settings import EACH, Settings
from .usage import Usage
from .writer import GATHER, Writer

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Function, Manifest, Report
    from fnframe.hookspecs import Refusal
    from fnframe.lifespan import RunningApp, Services

    from .settings import Budget

log = logging.getLogger("fnframe.billing")

SLOT = 300
"""Seconds for which warm environments are billed ahead, as Lambda rounds their time up."""
PRUNING = 3600.0
"""Seconds from one look for rows that are too old to the next."""
LAST_READING = 10.0
"""Seconds for taking what the engine kept, when the app ends; the next run takes what is left."""


@asynccontextmanager
async def lifespan(running: RunningApp) -> AsyncIterator[Services | None]:
    """Record what runs, let budgets refuse, and offer `running.billing`. Raises `ConfigurationError`."""
    settings = cast("Settings", running.settings_of("billing"))
    if not settings.enabled:
        yield None
        return
    directory = Path(running.manifest.directory)
    book = find_book(settings.price, directory)
    check_budgets(settings.budgets, running.manifest)
    ledger = Ledger(settings.path(directory))
    budgets = Budgets(settings.budgets, book)
    writer = Writer(ledger, budgets, GATHER if settings.commit == "grouped" else 0.0)
    consumer = Consumer(running.reports, ledger)
    await run_sync(check_ledger, ledger)
    await consumer.catch_up()
    await run_sync(budgets.begin, ledger)
    _register(running, budgets, writer, hold=settings.commit == "before-reply")
    running.run_with_triggers(partial(_reserve, running, ledger, budgets, writer))
    writer.start()

    async def flush() -> None:
        await consumer.catch_up()
        await writer.written()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(consumer.run)
            tasks.start_soon(_prune, running, ledger, settings.keep_days)
            yield {"billing": Billing(ledger, book, settings.free_tier, flush)}
            tasks.cancel_scope.cancel()
    finally:
        with anyio.move_on_after(LAST_READING, shield=True):
            await _finish(consumer)
        with anyio.CancelScope(shield=True):
            await run_sync(writer.end)


def check_ledger(ledger: Ledger) -> None:
    """Raise `ConfigurationError` at start where the ledger cannot be kept, and not with the first invocation."""
    if ledger.exists():
        ledger.reader().close()
        return
    folder = next((folder for folder in Path(ledger.name).absolute().parents if folder.exists()), Path("/"))
    if not ledger.in_memory and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ConfigurationError(
            f"the ledger cannot be kept here, since {folder} cannot be written to: set another `ledger` in the table "
            '[billing], "memory:" to keep it with the process, or `enabled = false`',
            where=ledger.name,
        )


def check_budgets(budgets: Iterable[Budget], manifest: Manifest) -> None:
    """Raise `ConfigurationError` for a budget of a function that there is not."""
    known = [function.name for function in manifest.functions]
    for budget in budgets:
        if budget.function not in (None, EACH, *known):
            raise ConfigurationError(
                f"the budget {budget.name!r} is for the function {budget.function!r}, which does not exist"
                f"{nearest(str(budget.function), known)}"
            )


class Reports:
    """Hears every invocation. Those that somebody waits for are written from here; of the others, the engine keeps the
    reports that count."""

    def __init__(self, writer: Writer) -> None:
        self._hear = writer.hear

    @hookimpl
    def fnframe_invocation_reported(self, report: Report) -> None:
        if report.invocation_type == "synchronous":
            self._hear(report)


class Counted:
    """Lets budgets count every invocation."""

    def __init__(self, budgets: Budgets, writer: Writer) -> None:
        self._budgets = budgets
        self._writer = writer

    @hookimpl
    def fnframe_invocation_reported(self, report: Report) -> None:
        self._budgets.hear(report)
        self._writer.wake()


class Gate:
    """Asks budgets before an invocation begins."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    @hookimpl
    def fnframe_admit(self, function: Function, tenant: str | None) -> Refusal | None:
        return self._budgets.refusal(function, tenant)


class Hold:
    """Holds replies until they are written."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @hookimpl
    def fnframe_before_reply(self) -> Awaitable[None]:
        return self._writer.written()


def _register(running: RunningApp, budgets: Budgets, writer: Writer, *, hold: bool) -> None:
    """Only what is needed: each hook is called for every invocation."""
    running.register(Reports(writer))
    if budgets.accounts:
        running.register(Counted(budgets, writer))
    if budgets.refuses:
        running.register(Gate(budgets))
    if hold:
        running.register(Hold(writer))


async def _reserve(
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


async def _prune(running: RunningApp, ledger: Ledger, days: int) -> None:
    """Forget the rows of invocations that are too old."""
    while True:
        before = int((time.time() - days * 86_400) * 1000)
        try:
            while ledger.exists() and await run_sync(partial(ledger.prune, before)) > 0:
                await checkpoint()
        except Exception as error:
            log.warning("old rows of the ledger cannot be removed (%s); trying again later", error)
        await running.clock.wait(anyio.Event(), running.clock.monotonic() + PRUNING)


async def _finish(consumer: Consumer) -> None:
    try:
        await consumer.catch_up()
    except Exception as error:
        told = "the last reports cannot be taken to the ledger (%s: %s); where the engine keeps them, the next run does"
        log.error(told, type(error).__name__, error)  # noqa: TRY400
