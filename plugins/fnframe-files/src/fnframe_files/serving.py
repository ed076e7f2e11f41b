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
POLL_REMOTE = 5.0


async def serve(mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
    """Watch for all mappings until cancelled; ready when all that lay there is enqueued."""
    ledgers = [Ledger(mapping) for mapping in mappings]
    made = [_make_folder(ledger, mapping) for ledger, mapping in zip(ledgers, mappings, strict=True)]
    for ledger, mapping in zip(ledgers, mappings, strict=True):
        _check_records(ledger, mapping)
        _tell_remote(ledger)
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


def _check_records(ledger: Ledger, mapping: Mapping) -> None:
    """Raises `ConfigurationError` where the records of what became of a file would be files to tell of, without end."""
    for option, destination in mapping.function.destinations():
        scheme, _, target = destination.partition(":")
        is_among = scheme == "file" and ledger.holds(str((mapping.directory / target).resolve()))
        if is_among and ledger.trigger.filter is None:  # Which may know better.
            problem = f"{option}={destination!r} is among the objects of its own Files({ledger.trigger.bucket!r})"
            advice = "each record would be an event with a record: put it elsewhere, or let `ignore` name it"
            told = f"function {mapping.function.name!r}: {problem}, so {advice}"
            raise ConfigurationError(told, where=mapping.function.where)


def _tell_remote(ledger: Ledger) -> None:
    """Say where the system cannot tell what happens in the folder, unless the trigger has chosen how to look."""
    if ledger.remote is not None and ledger.trigger.poll is None:
        log.warning(
            "Files(%r): %s is a file system of the type %s, where the system does not tell of all changes: the folder "
            "is looked through every %g s; `Files(..., poll=...)` says how often",
            ledger.trigger.bucket,
            ledger.remote.point,
            ledger.remote.type,
            POLL_REMOTE,
        )


def _watchers(ledgers: list[Ledger], stack: ExitStack) -> list[Watcher]:
    """One for all that inotify serves, one for each folder that is polled: one that hangs must not hold up another."""
    watched = [ledger for ledger in ledgers if _interval(ledger) is None]
    polled: dict[tuple[str, float], list[Ledger]] = {}
    for ledger in ledgers:
        if (interval := _interval(ledger)) is not None:
            polled.setdefault((ledger.root, interval), []).append(ledger)
    watchers = [Watcher(some, None, interval) for (_, interval), some in polled.items()]
    if watched:
        from .notifier import Notifier

        notifier = Notifier(watched)
        stack.callback(notifier.close)
        watchers.append(Watcher(watched, notifier, watched[0].settings.reconcile))
    return watchers


def _interval(ledger: Ledger) -> float | None:
    if ledger.trigger.poll is not None:
        return ledger.trigger.poll
    if ledger.remote is not None:
        return POLL_REMOTE
    return None if sys.platform == "linux" else POLL_WITHOUT_INOTIFY


def _make_folder(ledger: Ledger, mapping: Mapping) -> bool:
    """Make the folder if it is missing, so that something can be put there; whether it was."""
    folder = Path(ledger.root)
    try:
        if folder.is_dir():
            return False
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"Files: {ledger.trigger.bucket!r} cannot be a folder: {error.strerror}: {error.filename}"
        raise ConfigurationError(problem, where=mapping.function.where) from None
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
