"""All mappings of the type together: what `Files.run_all` does."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from fnframe import ConfigurationError

from . import stamps
from .ledger import Ledger
from .watcher import Watcher

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping

log = logging.getLogger("fnframe.files")

POLL_WITHOUT_INOTIFY = 1.0


async def serve(mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
    """Watch for all mappings until cancelled; ready when all that lay there is enqueued."""
    ledgers = [Ledger(mapping) for mapping in mappings]
    made = [_make_folder(ledger) for ledger in ledgers]
    for ledger in ledgers:
        stamps.learn(ledger.root)
        await ledger.load()
    with ExitStack() as stack:
        watchers = _watchers(ledgers, stack)
        for watcher in watchers:
            await watcher.start()
        async with anyio.create_task_group() as tasks:
            for ledger in ledgers:
                tasks.start_soon(ledger.deliver)
            for watcher in watchers:
                await watcher.catch_up()
            for ledger in ledgers:
                await ledger.drained()
            task_status.started([_text(ledger, new) for ledger, new in zip(ledgers, made, strict=True)])
            for watcher in watchers:
                tasks.start_soon(watcher.run)


def _watchers(ledgers: list[Ledger], stack: ExitStack) -> list[Watcher]:
    """One for all that inotify serves, and one for each interval of polling."""
    by_interval: dict[float | None, list[Ledger]] = {}
    for ledger in ledgers:
        by_interval.setdefault(_interval(ledger), []).append(ledger)
    return [_watcher(interval, some, stack) for interval, some in by_interval.items()]


def _watcher(interval: float | None, ledgers: list[Ledger], stack: ExitStack) -> Watcher:
    if interval is not None:
        return Watcher(ledgers, None, interval)
    from .notifier import Notifier

    notifier = Notifier()
    stack.callback(notifier.close)
    return Watcher(ledgers, notifier, ledgers[0].settings.reconcile)


def _interval(ledger: Ledger) -> float | None:
    return ledger.trigger.poll or (None if sys.platform == "linux" else POLL_WITHOUT_INOTIFY)


def _make_folder(ledger: Ledger) -> bool:
    """Make the folder if it is missing, so that something can be put there; whether it was."""
    folder = Path(ledger.root)
    if folder.is_dir():
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"Files: {ledger.trigger.bucket!r} cannot be a folder: {error}") from None
    return True


def _text(ledger: Ledger, made: bool) -> str:
    interval = _interval(ledger)
    return ", ".join(
        [
            f"watches {ledger.trigger.bucket} for {ledger.trigger.pattern}",
            f"{ledger.delivered} new" if ledger.delivered else "nothing new",
            *(["the folder was made"] if made else []),
            *([f"looks every {interval:g} s"] if interval is not None else []),
        ]
    )
