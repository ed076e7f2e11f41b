"""The looker: looks at files that are on the agenda, and finds those that are complete or gone."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import notes
from .agenda import Hint
from .beneath import AWAY, Descent
from .version import GONE, Sight, Version, glance, look

if TYPE_CHECKING:
    from .agenda import Agenda, Entry
    from .ledger import Ledger

log = logging.getLogger("fnframe.files")

SHORTEST_RETRY = 0.001
GIVE_UP = 12
"""Tries after which a file that cannot be looked at is left to the next scan: some seconds."""
SILENCE = 60.0
"""Seconds between two warnings of such files."""

Found = tuple["Ledger", str, Version | None, notes.Note | None]


class Looker:
    """An event is made of what a look finds, whatever brought the path here."""

    def __init__(self, agenda: Agenda, *, longest_retry: float, lasting_inodes: bool) -> None:
        self.found: list[Found] = []
        """Complete versions, or None for what is gone, each with the note of who wrote it, if there is one."""
        self.backlog: set[str] = set()
        """Of what lay there at the start: what nobody was told of, and nobody was seen to write to."""
        self._agenda = agenda
        self._longest_retry = longest_retry
        self._lasting_inodes = lasting_inodes
        self._descent = Descent()
        self._failed = 0
        self._say_at = 0.0

    def close(self) -> None:
        """Keep no directory open: it may want to be unmounted."""
        self._descent.close()

    def look(self, entry: Entry) -> None:
        """Find out what there is, or put it off."""
        try:
            sight = self._sight(entry)
        except OSError as error:
            self._fail(entry, error)
            return
        if sight.version is None:
            self._tell(entry, None)
        elif sight.wait:
            self._agenda.postpone(entry, sight.wait)
        else:
            self._judge(entry, sight, sight.version)

    def _sight(self, entry: Entry) -> Sight:
        folder, _, name = entry.path.rpartition("/")
        ledger = entry.views[0][0]
        try:
            directory = self._descent.to(ledger.root, folder)
        except OSError as error:
            # That the whole folder is not there says nothing of its objects.
            root = Path(ledger.root)
            if error.errno in AWAY and root.is_dir() and not root.is_symlink():
                return GONE
            raise
        if not entry.regular:
            sight = glance(directory, name)
            entry.regular = sight.version is not None
            if not entry.regular or sight.wait or _is_opened(entry, sight):
                return sight
        return look(directory, name, ask=ledger.remote is None)

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
            self.backlog.discard(entry.path)
        elif entry.seen == version:
            self._tell(entry, version)
        else:
            self.backlog.discard(entry.path)
            self._settle(entry, version)

    def _settle(self, entry: Entry, version: Version) -> None:
        entry.seen = version
        self._agenda.postpone(entry, max(ledger.trigger.settle for ledger, _ in entry.views))

    def _retry(self, entry: Entry) -> None:
        # Its end is told as a rule, but not for all: a writer may have opened the file by another link.
        self.backlog.discard(entry.path)
        self._agenda.postpone(entry, min(SHORTEST_RETRY * 2**entry.tries, self._longest_retry))
        entry.tries += 1

    def _fail(self, entry: Entry, error: OSError) -> None:
        if entry.tries < GIVE_UP:
            self._retry(entry)
            return
        self.backlog.discard(entry.path)
        self._failed += 1
        if time.monotonic() >= self._say_at:
            log.warning("%d files cannot be looked at, such as %r: %s", self._failed, entry.path, error.strerror)
            self._failed, self._say_at = 0, time.monotonic() + SILENCE

    def _tell(self, entry: Entry, version: Version | None) -> None:
        self.backlog.discard(entry.path)
        note = None
        if version is not None:
            folder, _, name = entry.path.rpartition("/")
            note = notes.read(self._descent.to(entry.views[0][0].root, folder), name, version)
            if not self._lasting_inodes:
                version = version._replace(inode=0)
        self.found += [(ledger, key, version, note) for ledger, key in entry.views]


def _is_opened(entry: Entry, sight: Sight) -> bool:
    """Whether a file is new and somebody's who opened it: its end will be told. That of a further link never is."""
    return entry.hint is Hint.CHANGED and sight.links == 1
