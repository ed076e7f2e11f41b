"""The scanner: finds what lies in the folders and what does not any more, and has the directories watched."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

from . import notes
from .agenda import Entry, Hint
from .beneath import AWAY, LIST, open_path
from .directory import bucket_at
from .mounts import is_on
from .names import OWN
from .tops import Tops
from .version import version_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from .agenda import Agenda
    from .directory import Directory
    from .ledger import Ledger
    from .notifier import Notifier

log = logging.getLogger("fnframe.files")

Seen = dict["Ledger", set[str]]


class Scanner:
    """Puts what is to be looked at on the agenda. Works in steps: others run between them."""

    def __init__(self, ledgers: list[Ledger], notifier: Notifier | None, agenda: Agenda) -> None:
        self.missing: set[str] = set()
        """Buckets' own folders that are not there."""
        self.shut = False
        """Whether there are directories that may not be read, today at least."""
        self._ledgers = ledgers
        self._notifier = notifier
        self._agenda = agenda
        self._first = True
        self._unseen: list[str] = []
        self._told = 0

    def everything(self) -> Generator[None, None, None]:
        """Find all that is new, and look for all that is not seen any more."""
        self.shut = False
        self._unseen.clear()
        if self._notifier is not None:
            self._notifier.begin()
        seen: Seen = {ledger: set() for ledger in self._ledgers}
        for root, mount in {ledger.root: ledger.mount for ledger in self._ledgers}.items():
            if is_on(root, mount):
                yield from self._scan(bucket_at(root, self._ledgers), seen)
            else:
                self._miss(root, "it is not mounted any more")
        if self._notifier is not None:
            self._notifier.end()
        for ledger in self._ledgers:
            # That a folder is not there, unmounted maybe, says nothing of its objects.
            if ledger.root not in self.missing:
                for key in ledger.all_keys():
                    if key not in seen[ledger]:
                        self._look_for(ledger, key, Hint.FOUND)
                    yield
        self._first = False
        self._tell_unseen()

    def follow(self) -> Generator[None, None, None]:
        """Do what inotify told of directories."""
        notifier = self._notifier
        assert notifier is not None
        went, notifier.went = notifier.went, {}
        came, notifier.came = notifier.came, {}
        # Where there was another before, what lies there may have been told of already, and gone again, unwatched.
        again = [directory for path, directory in came.items() if path in notifier.left]
        notifier.left.difference_update(came)
        if went:
            yield from notifier.forget(went)
            yield from self._look_below(went.values())
        for directory in came.values():
            yield from self._scan(directory)
        if again:
            yield from self._look_below(again)

    def _scan(self, top: Directory, seen: Seen | None = None) -> Iterator[None]:
        """Watch a directory and those below, and put what lies there on the agenda unless it was delivered."""
        below = [top]
        while below:
            directory = below.pop()
            try:
                yield from self._enter(directory, seen, below)
            except OSError as error:
                self._fail(directory, error)
            else:
                self.missing.discard(directory.path)

    def _enter(self, directory: Directory, seen: Seen | None, below: list[Directory]) -> Iterator[None]:
        descriptor = open_path(directory.root, directory.path, LIST)
        try:
            # Watched before it is listed: what comes in between is told, or listed, or both.
            if self._notifier is not None:
                self._notifier.watch(directory, descriptor)
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    self._see(directory, descriptor, entry, seen, below)
                    yield
        finally:
            os.close(descriptor)

    def _see(
        self, directory: Directory, descriptor: int, entry: os.DirEntry[str], seen: Seen | None, below: list[Directory]
    ) -> None:
        if entry.name.startswith(OWN):
            # Not at the first time: what functions wrote while nobody looked must be known as theirs.
            if not self._first:
                notes.sweep(descriptor, entry)
        elif entry.is_dir(follow_symlinks=False):
            inner = directory.below(entry.name, self._ledgers)
            if inner.prefixes:
                below.append(inner)
        elif entry.is_file(follow_symlinks=False):
            self._see_file(directory, entry, seen)

    def _see_file(self, directory: Directory, entry: os.DirEntry[str], seen: Seen | None) -> None:
        views = directory.views(entry.name)
        if seen is not None:
            for ledger, key in views:
                seen[ledger].add(key)
        if any(key in ledger.known for ledger, key in views):
            try:
                version = version_of(entry.stat(follow_symlinks=False))
            except OSError:
                pass  # Gone meanwhile, say: a look will tell, and the rest of the directory wants to be seen.
            else:
                views = [(ledger, key) for ledger, key in views if not ledger.has(key, version)]
        if views:
            self._agenda.add(Entry(f"{directory.path}/{entry.name}", views, Hint.FOUND, regular=True))

    def _fail(self, directory: Directory, error: OSError) -> None:
        if directory.is_bucket:
            self._miss(directory.path, str(error.strerror))
        elif error.errno not in AWAY:
            # Of what lies too deep for a path, nothing is to be hoped.
            self.shut = self.shut or error.errno != errno.ENAMETOOLONG
            self._unseen.append(f"{directory.path!r}: {error.strerror}")

    def _miss(self, root: str, reason: str) -> None:
        if root not in self.missing:
            log.warning("the folder %r cannot be looked into, waiting for it: %s", root, reason)
            self.missing.add(root)

    def _tell_unseen(self) -> None:
        """Say it when it is news, not at each scan."""
        if len(self._unseen) > self._told:
            log.warning(
                "%d directories cannot be looked into, so their files are not seen, such as %s",
                len(self._unseen),
                self._unseen[0],
            )
        self._told = len(self._unseen)

    def _look_below(self, gone: Iterable[Directory]) -> Iterator[None]:
        """Look for all objects below directories that were moved away."""
        prefixes: dict[Ledger, list[str]] = {}
        for directory in gone:
            for ledger, prefix in directory.prefixes:
                prefixes.setdefault(ledger, []).append(prefix)
        for ledger, some in prefixes.items():
            tops = Tops(some)
            for key in ledger.all_keys():
                if tops.cover(key):
                    self._look_for(ledger, key, Hint.CHANGED)
                yield

    def _look_for(self, ledger: Ledger, key: str, hint: Hint) -> None:
        self._agenda.add(Entry(ledger.path_of(key), [(ledger, key)], hint))
