"""The watcher: looks where something happened, and tells the ledgers what is complete or gone."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from .agenda import Agenda, Entry, Hint
from .directory import Directory, directory_at
from .ledger import AT_ONCE
from .version import Sight, Version, glance, look, version_of

if TYPE_CHECKING:
    from .ledger import Ledger
    from .notifier import Notifier

log = logging.getLogger("fnframe.files")

MISSING = 1.0
SHORTEST_RETRY = 0.001
LONGEST_RETRY = 8.0

Seen = dict["Ledger", set[str]]


class Watcher:
    """Watches the folders of some ledgers, with inotify or without; looks through all every `interval` seconds.

    What the system tells is a hint where to look, no more: an event is made of what a look finds. So hints that come
    twice, late, or not at all (an overflow, a restart) cost time and nothing else.
    """

    def __init__(self, ledgers: list[Ledger], notifier: Notifier | None, interval: float) -> None:
        self._ledgers = ledgers
        self._notifier = notifier
        self._interval = interval
        self._agenda = Agenda()
        self._backlog: set[str] = set()
        self._missing: set[str] = set()
        self._scan_at = 0.0

    async def start(self) -> None:
        """Watch the folders and find what lies there. Raises `ConfigurationError`."""
        await self._scan_all()
        self._backlog = self._agenda.paths()

    async def catch_up(self) -> None:
        """Look at what was found at the start until each file is told of, or somebody is seen to write to it."""
        while self._backlog:
            await self._round()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._round()

    async def _round(self) -> None:
        await self._wait()
        self._listen()
        if self._scan_at <= time.monotonic() or (self._notifier is not None and self._notifier.lost):
            await self._scan_all()
        if self._notifier is not None:
            self._look_below(self._notifier.went)
            while self._notifier.came:
                await self._scan(self._notifier.came.pop())
        for number, entry in enumerate(self._agenda.take()):
            self._look(entry)
            await self._breathe(number)

    async def _wait(self) -> None:
        seconds = max(0.0, min(self._agenda.delay(), self._scan_at - time.monotonic()))
        if self._notifier is None:
            await anyio.sleep(seconds)
        elif seconds == 0 or self._notifier.has_news:
            await checkpoint()
        else:
            with anyio.move_on_after(seconds):
                await anyio.wait_readable(self._notifier.fileno())

    async def _breathe(self, number: int) -> None:
        """Let others run now and then, and keep the system's queue short meanwhile."""
        if number % AT_ONCE == AT_ONCE - 1:
            await checkpoint()
            self._listen()

    def _listen(self) -> None:
        if self._notifier is not None:
            self._notifier.listen(self._agenda)

    # Where to look

    async def _scan_all(self) -> None:
        """Find all that is new, and look for all that is not seen any more."""
        self._scan_at = time.monotonic() + self._interval
        if self._notifier is not None:
            self._notifier.lost = False
        seen: Seen = {ledger: set() for ledger in self._ledgers}
        for bucket in dict.fromkeys(ledger.root for ledger in self._ledgers):
            await self._scan(bucket, seen)
        for ledger in self._ledgers:
            # That a folder is not there, unmounted maybe, says nothing of its objects.
            if ledger.root not in self._missing:
                self._look_for(ledger, [key for key in ledger.all_keys() if key not in seen[ledger]], Hint.FOUND)

    async def _scan(self, top: str, seen: Seen | None = None) -> None:
        """Watch a directory and those below, and put what lies there on the agenda unless it was delivered."""
        stack = [top]
        while stack:
            directory = directory_at(stack.pop(), self._ledgers)
            # Watched before it is listed: what comes in between is told, or listed, or both.
            if not directory.prefixes or (self._notifier is not None and not self._notifier.watch(directory)):
                self._miss(directory)
                continue
            try:
                stack += await self._list(directory, seen)
                self._missing.discard(directory.path)
            except (FileNotFoundError, NotADirectoryError):
                self._miss(directory)
            except OSError as error:
                log.warning("%s cannot be listed: %s", directory.path, error)

    async def _list(self, directory: Directory, seen: Seen | None) -> list[str]:
        below = []
        with os.scandir(directory.path) as entries:
            for number, entry in enumerate(entries):
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    self._see(directory, entry, seen)
                await self._breathe(number)
        return below

    def _see(self, directory: Directory, entry: os.DirEntry[str], seen: Seen | None) -> None:
        views = directory.views(entry.name)
        if seen is not None:
            for ledger, key in views:
                seen[ledger].add(key)
        if any(key in ledger.known for ledger, key in views):
            version = self._comparable(version_of(entry.stat(follow_symlinks=False)))
            views = [(ledger, key) for ledger, key in views if not ledger.has(key, version)]
        if views:
            self._agenda.add(Entry(entry.path, views, Hint.FOUND, regular=True))

    def _miss(self, directory: Directory) -> None:
        if not directory.is_bucket:
            return
        self._scan_at = min(self._scan_at, time.monotonic() + MISSING)
        if directory.path not in self._missing:
            log.warning("the folder %s is not there any more; waiting for it", directory.path)
            self._missing.add(directory.path)

    def _look_below(self, gone: set[str]) -> None:
        """Look for all objects below directories that were moved away."""
        if not gone:
            return
        for ledger in self._ledgers:
            prefixes = {ledger.prefix_of(path) for path in gone}
            self._look_for(
                ledger, [key for key in ledger.all_keys() if not prefixes.isdisjoint(_folders(key))], Hint.CHANGED
            )
        gone.clear()

    def _look_for(self, ledger: Ledger, keys: list[str], hint: Hint) -> None:
        for key in keys:
            self._agenda.add(Entry(ledger.path_of(key), [(ledger, key)], hint))

    # Looking

    def _look(self, entry: Entry) -> None:
        try:
            sight = self._sight(entry)
        except OSError as error:
            log.warning("%s cannot be looked at: %s", entry.path, error)
            self._backlog.discard(entry.path)
            return
        if sight.version is None:
            self._tell(entry, None)
        elif sight.wait:
            self._agenda.postpone(entry, sight.wait)
        else:
            self._judge(entry, sight, sight.version)

    def _sight(self, entry: Entry) -> Sight:
        if not entry.regular:
            sight = glance(entry.path)
            entry.regular = sight.version is not None
            if not entry.regular or sight.wait or _is_opened(entry, sight):
                return sight
        return look(entry.path)

    def _judge(self, entry: Entry, sight: Sight, version: Version) -> None:
        """Whether a file is complete: the system says so, or hinted at it, or nothing happens for a while."""
        if sight.writers:
            self._retry(entry)
        # An empty file of which nothing is told may be one that is being opened: it has no writer just yet.
        elif entry.hint is Hint.COMPLETE or (sight.writers is False and version.size):
            self._tell(entry, version)
        elif entry.seen is None:
            self._settle(entry, version)
        elif sight.writers is None and _is_opened(entry, sight):
            self._backlog.discard(entry.path)
        elif entry.seen == version:
            self._tell(entry, version)
        else:
            self._backlog.discard(entry.path)
            self._settle(entry, version)

    def _settle(self, entry: Entry, version: Version) -> None:
        entry.seen = version
        self._agenda.postpone(entry, max(ledger.trigger.settle for ledger, _ in entry.views))

    def _retry(self, entry: Entry) -> None:
        # Its end is told as a rule, but not for all: a writer may have opened the file by another link.
        self._backlog.discard(entry.path)
        self._agenda.postpone(entry, min(SHORTEST_RETRY * 2**entry.tries, LONGEST_RETRY))
        entry.tries += 1

    def _tell(self, entry: Entry, version: Version | None) -> None:
        self._backlog.discard(entry.path)
        for ledger, key in entry.views:
            ledger.found(key, version and self._comparable(version))

    def _comparable(self, version: Version) -> Version:
        # Where polling is needed, on network and user-space file systems, inode numbers need not last.
        return version if self._notifier is not None else version._replace(inode=0)


def _is_opened(entry: Entry, sight: Sight) -> bool:
    """Whether a file is new and somebody's who opened it: its end will be told. That of a further link never is."""
    return entry.hint is Hint.CHANGED and sight.links == 1


def _folders(key: str) -> set[str]:
    """`{"a/", "a/b/"}` for the key `a/b/c`."""
    return {key[: at + 1] for at, character in enumerate(key) if character == "/"}
