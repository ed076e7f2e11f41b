"""Writes to the ledger what is heard: many reports in one step, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
import apsw
from anyio import from_thread
from anyio.lowlevel import current_token

from fnframe import ConfigurationError

from .bursts import BURST
from .entries import tell_unfit

if TYPE_CHECKING:
    from anyio.lowlevel import EventLoopToken

    from fnframe import Report

    from .keeping import Keeping

log = logging.getLogger("fnframe.billing")

GATHER = 0.025
"""Seconds from the begin of one step to that of the next, in which reports are gathered: all is written within 50 ms
where a step takes no longer than that."""

MOST_AT_ONCE = 2000
"""Reports of one step."""

RETRY, LONGEST_RETRY, TRIES_AT_END = 0.1, 5.0, 3
"""Seconds until a step that failed is tried again, doubled each time; and how often that is when the app ends."""

Item = TypeVar("Item")


class Writer:
    """Takes reports from any thread without waiting, once it was started. `gather` is in seconds.

    What is heard after it ended is written at once.
    """

    def __init__(self, keeping: Keeping, gather: float = GATHER) -> None:
        self._keeping = keeping
        self._gather = gather
        self._heard: deque[Report] = deque()
        self._waiting: deque[tuple[anyio.Event, EventLoopToken]] = deque()
        self._something = threading.Event()
        self._ending = threading.Event()
        self._ended = False
        self._unsettled = True
        """Whether bursts may wait, of which rows are made when little is heard: a host before may have left some."""
        self._thread = threading.Thread(target=self._run, name="fnframe-billing", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def hear(self, report: Report) -> None:
        """Take a report, to be written."""
        self._heard.append(report)
        if not self._something.is_set():
            self._something.set()
        if self._ended:
            self._write_all()
            self._keeping.ledger.close()

    async def written(self) -> None:
        """Return when all that was heard until now is written."""
        if self._ended:
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
        self._ended = True
        self._write_all()  # What came while the thread ended.
        while self._unsettled:
            self._settle()

    def _run(self) -> None:
        due = 0.0
        while not self._ending.is_set():
            self._something.wait(GATHER if self._unsettled else None)
            self._ending.wait(max(0.0, due - time.monotonic()))
            due = time.monotonic() + self._gather
            self._something.clear()
            if self._write_all() < BURST and self._unsettled:
                self._settle()

    def _settle(self) -> None:
        """Make rows of one burst."""
        try:
            self._unsettled = self._keeping.ledger.settle()
        except (apsw.Error, ConfigurationError) as error:
            log.warning("what waits in the ledger cannot become rows (%s); who reads it tries again", error)
            self._unsettled = False

    def _write_all(self) -> int:
        """Write all that was heard; how much it was."""
        # Who waits is taken first: what he waits for was heard before. What is heard from now on is gathered again.
        waiting = _drained(self._waiting, len(self._waiting))
        heard = len(self._heard)
        for begin in range(0, heard, MOST_AT_ONCE):
            self._write(_drained(self._heard, min(heard - begin, MOST_AT_ONCE)))
        for event, token in waiting:
            with suppress(RuntimeError):  # Its event loop has ended.
                from_thread.run_sync(event.set, token=token)
        return heard

    def _write(self, reports: Sequence[Report]) -> None:
        """Write them, if need be again and again: a full disk is no reason to lose a bill."""
        failures = 0
        while True:
            try:
                if self._keeping.take(reports):
                    self._unsettled = True
            except (apsw.Error, ConfigurationError) as error:
                failures += 1
                if self._ending.is_set() and failures >= TRIES_AT_END:
                    log.error("the ledger cannot be written (%s): %d invocations are lost", error, len(reports))  # noqa: TRY400
                    return None
                delay = min(RETRY * 2 ** (failures - 1), LONGEST_RETRY)
                if failures == 1 or delay == LONGEST_RETRY:
                    log.error("the ledger cannot be written (%s); trying again in %.1f s", error, delay)  # noqa: TRY400
                if self._ending.wait(delay):
                    time.sleep(RETRY)
            except Exception as error:
                return self._write_each(reports, error)
            else:
                return None

    def _write_each(self, reports: Sequence[Report], error: Exception) -> None:
        """One of them is none that can be kept: the others are."""
        if len(reports) > 1:
            for report in reports:
                self._write([report])
        else:
            tell_unfit(reports[0], error)


def _drained(items: deque[Item], most: int) -> list[Item]:
    """What lies in a queue to which others append meanwhile."""
    return [items.popleft() for _ in range(min(len(items), most))]
