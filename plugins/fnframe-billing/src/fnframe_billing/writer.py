"""Writes to the ledger what is heard: many reports in one step, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
import apsw
from anyio import from_thread
from anyio.lowlevel import current_token

from fnframe import ConfigurationError

if TYPE_CHECKING:
    from anyio.lowlevel import EventLoopToken

    from fnframe import Report

    from .budgets import Budgets
    from .ledger import Ledger, Spent
    from .usage import Usage

log = logging.getLogger("fnframe.billing")

GATHER = 0.025
"""Seconds to gather reports before they are written, so that all is written within 50 ms."""

MOST_AT_ONCE = 2000
"""Reports of one step."""

RETRY, LONGEST_RETRY, TRIES_AT_END = 0.1, 5.0, 3
"""Seconds until a step that failed is tried again, doubled each time; and how often that is when the app ends."""

Item = TypeVar("Item")


class Writer:
    """Takes reports from any thread without waiting, once it was started. `gather` is in seconds.

    What is heard after it ended is written at once.
    """

    def __init__(self, ledger: Ledger, budgets: Budgets, gather: float = GATHER) -> None:
        self._ledger = ledger
        self._budgets = budgets
        self._gather = gather
        self._heard: deque[Report] = deque()
        self._waiting: deque[tuple[anyio.Event, EventLoopToken]] = deque()
        self._something = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fnframe-billing", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def hear(self, report: Report) -> None:
        """Take a report, to be written."""
        self._heard.append(report)
        self.wake()

    def wake(self) -> None:
        """There is something to be written: a report, or what budgets have."""
        if not self._something.is_set():
            self._something.set()
        if self._has_ended():
            self._write_all()
            self._ledger.close()

    async def written(self) -> None:
        """Return when all that was heard until now is written."""
        if self._has_ended():
            return
        event = anyio.Event()
        self._waiting.append((event, current_token()))
        self._something.set()
        await event.wait()

    def end(self) -> None:
        """Write what is left, and stop. It blocks: not for the thread of the event loop."""
        self._ending.set()
        self._something.set()
        self._thread.join()
        self._write_all()  # What came while the thread ended.

    def _has_ended(self) -> bool:
        return self._ending.is_set() and not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._something.wait()
            if self._gather:
                self._ending.wait(self._gather)
            self._something.clear()
            self._write_all()

    def _write_all(self) -> None:
        # Who waits is taken first: what he waits for was heard before. What is heard from now on is gathered again.
        waiting = _drained(self._waiting, len(self._waiting))
        left = len(self._heard)
        while True:
            reports = _drained(self._heard, min(left, MOST_AT_ONCE))
            spent = self._budgets.take()
            if reports or spent:
                self._write(reports, spent)
            left -= len(reports)
            if not left:
                break
        for event, token in waiting:
            with suppress(RuntimeError):  # Its event loop has ended.
                from_thread.run_sync(event.set, token=token)

    def _write(self, reports: Sequence[Report], spent: Mapping[Spent, Usage]) -> None:
        """Write them, if need be again and again: a full disk is no reason to lose a bill."""
        failures = 0
        while True:
            try:
                self._budgets.learn(self._ledger.write(reports, spent) or {})
            except (apsw.Error, ConfigurationError) as error:
                failures += 1
                if self._ending.is_set() and failures >= TRIES_AT_END:
                    log.error("the ledger cannot be written (%s): %d invocations are lost", error, len(reports))  # noqa: TRY400
                    return
                delay = min(RETRY * 2 ** (failures - 1), LONGEST_RETRY)
                if failures == 1 or delay == LONGEST_RETRY:
                    log.error("the ledger cannot be written (%s); trying again in %.1f s", error, delay)  # noqa: TRY400
                if self._ending.wait(delay):
                    time.sleep(RETRY)
            else:
                return


def _drained(items: deque[Item], most: int) -> list[Item]:
    """What lies in a queue to which others append meanwhile."""
    return [items.popleft() for _ in range(min(len(items), most))]
