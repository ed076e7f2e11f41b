"""The watcher: waits for news of some folders, has them looked into, and tells the ledgers what came of it."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from .agenda import Agenda
from .ledger import AT_ONCE
from .looker import Looker
from .scanner import Scanner

if TYPE_CHECKING:
    from .ledger import Ledger
    from .notifier import Notifier

MISSING = 1.0
"""Seconds between looks for a folder that is not there."""
SHUT = 0.1
"""Seconds until the first look whether a directory may be read now; the next ones take longer and longer."""
SHORT = 5.0
"""Seconds between scans while directories are not watched for want of watches."""
LONGEST_RETRY = 60.0
"""Seconds between looks at a file that somebody has open for writing, where its closing is told as a rule."""
SLICE = 1024
"""Steps of a scan between two looks at what is due: a file that was closed does not wait for a large tree."""

Steps = Generator[None, None, None]
"""Work that others in the event loop may interrupt."""

_END = object()


class Watcher:
    """Watches the folders of some ledgers, with inotify or without; looks through all every `interval` seconds.

    What the system tells is a hint where to look, no more: an event is made of what a look finds. So hints that come
    twice, late, or not at all (an overflow, a restart) cost time and nothing else.
    """

    def __init__(self, ledgers: list[Ledger], notifier: Notifier | None, interval: float) -> None:
        self._notifier = notifier
        self._interval = interval
        self._agenda = Agenda()
        self._scanner = Scanner(ledgers, notifier, self._agenda)
        self._looker = Looker(
            self._agenda,
            longest_retry=LONGEST_RETRY if notifier is not None else interval,
            lasting_inodes=notifier is not None,
        )
        self._scan: Steps | None = None
        self._scanned = self._took = 0.0
        self._shut_for = SHUT
        self._thread = anyio.CapacityLimiter(1)

    async def start(self) -> None:
        """Watch the folders and find what lies there. Raises `ConfigurationError`."""
        await self._do(self._scan_all())
        if self._notifier is not None:
            self._notifier.strict = False
        self._looker.backlog = self._agenda.paths()

    async def catch_up(self) -> None:
        """Look at what was found at the start until each file is told of, or somebody is seen to write to it."""
        while self._looker.backlog:
            await self._round()

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                await self._round()
        finally:
            # A thread that hangs may be within it.
            if self._scan is not None and self._notifier is not None:
                self._scan.close()

    async def _round(self) -> None:
        await self._wait()
        await self._do(self._steps())

    async def _wait(self) -> None:
        seconds = 0.0 if self._scan is not None else min(self._agenda.delay(), self._until_scan())
        if self._notifier is None:
            await anyio.sleep(seconds)
        elif seconds == 0 or self._notifier.has_news:
            await checkpoint()
        else:
            with anyio.move_on_after(seconds):
                await anyio.wait_readable(self._notifier.fileno())

    async def _do(self, steps: Steps) -> None:
        """Go the steps; let others run now and then, and keep the system's queue short meanwhile."""
        if self._notifier is None:
            await self._do_in_thread(steps)
        else:
            with closing(steps):
                for number, _ in enumerate(steps, 1):
                    if number % AT_ONCE == 0:
                        self._deliver()
                        await checkpoint()
                        self._notifier.listen(self._agenda)
        self._deliver()

    async def _do_in_thread(self, steps: Steps) -> None:
        """Where there is no inotify: a network that hangs must not hold up the event loop."""
        ended = Event()
        try:
            await anyio.to_thread.run_sync(_exhaust, steps, ended, abandon_on_cancel=True, limiter=self._thread)
        finally:
            ended.set()

    def _deliver(self) -> None:
        for ledger, key, version, note in self._looker.found:
            ledger.found(key, version, note)
        self._looker.found.clear()

    def _steps(self) -> Steps:
        if self._notifier is not None:
            self._notifier.listen(self._agenda)
        yield from self._scan_on()
        try:
            for entry in self._agenda.take():
                self._looker.look(entry)
                yield
        finally:
            self._looker.close()

    def _scan_on(self) -> Steps:
        """Go on with the scan that is under way, or begin the next."""
        for _ in range(SLICE):
            self._scan = self._scan or self._next_scan()
            if self._scan is None:
                return
            if next(self._scan, _END) is _END:
                self._scan = None
            yield

    def _next_scan(self) -> Steps | None:
        if self._until_scan() == 0:
            return self._scan_all()
        if self._notifier is not None and self._notifier.has_news:
            return self._scanner.follow()
        return None

    # When to look through everything

    def _scan_all(self) -> Steps:
        began = time.monotonic()
        yield from self._scanner.everything()
        self._scanned = time.monotonic()
        self._took = self._scanned - began
        # What may not be read today is tried more and more rarely: nobody tells when it may.
        self._shut_for = min(2 * self._shut_for, self._interval) if self._scanner.shut else SHUT

    def _until_scan(self) -> float:
        """Seconds until everything is to be looked through: soon where less was told, or less could be seen, than there
        is, but never so often that it would take more than half of the time."""
        pause = self._interval
        if self._scanner.missing:
            pause = min(pause, MISSING)
        if self._scanner.shut:
            pause = min(pause, self._shut_for)
        if self._notifier is not None and self._notifier.short:
            pause = min(pause, SHORT)
        if self._notifier is not None and self._notifier.lost:
            pause = 0.0
        return max(0.0, self._scanned + max(pause, self._took) - time.monotonic())


def _exhaust(steps: Steps, ended: Event) -> None:
    for _ in steps:
        if ended.is_set():
            break
