"""inotify: one instance, the directories that it watches, and what it tells of them."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags, parse_events  # type: ignore[import-untyped]

from fnframe import ConfigurationError

from .agenda import Entry, Hint
from .tops import Tops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .agenda import Agenda
    from .directory import Directory
    from .ledger import Ledger

log = logging.getLogger("fnframe.files")

_MASK = (
    flags.CREATE
    | flags.CLOSE_WRITE
    | flags.MOVED_TO
    | flags.MOVED_FROM
    | flags.DELETE
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.EXCL_UNLINK
)
# As plain numbers: enumerations make each test of a bit ten times as long.
_COMPLETE = int(flags.CLOSE_WRITE | flags.MOVED_TO)
_CAME = int(flags.CREATE | flags.MOVED_TO)
_LEFT = int(flags.MOVED_FROM)
_LOST = int(flags.IGNORED | flags.MOVE_SELF)
_IS_DIRECTORY = int(flags.ISDIR)
_OVERFLOW = int(flags.Q_OVERFLOW)

_AT_ONCE = 16_384
"""Bytes: some 500 changes, so that others in the event loop do not wait for a whole burst."""

_LIMITS = Path("/proc/sys/fs/inotify")


class Notifier:
    """Watches directories below the folders of some ledgers. Raises `ConfigurationError` at the system's limits."""

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self.came: dict[str, Directory] = {}
        """Directories that were made or moved in, to be scanned."""
        self.went: dict[str, Directory] = {}
        """Directories that were moved away, with all that is below."""
        self.left: set[str] = set()
        """Where directories were that were moved away or deleted, since everything was looked through."""
        self.lost = False
        """Whether the system told less than there was, or a bucket's own folder went away."""
        self.strict = True
        """Whether `watch` raises at the limit of watched directories; otherwise it says so once in the log."""
        self.short = False
        """Whether there are directories that are not watched for want of watches."""
        self._ledgers = ledgers
        self._directories: dict[int, Directory] = {}
        self._found: set[int] = set()
        self._was_short = False
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            raise _refusal(error) from None

    def close(self) -> None:
        self._inotify.close()

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    @property
    def has_news(self) -> bool:
        """Of directories."""
        return bool(self.came or self.went)

    def watch(self, directory: Directory, descriptor: int) -> None:
        """Watch a directory from now on, which is open. Raises `ConfigurationError` at the limit, if `strict`."""
        try:
            # What is open cannot be exchanged for another directory, as what lies at the path can.
            number = self._inotify.add_watch(f"/proc/self/fd/{descriptor}", _MASK)
        except OSError as error:
            if self.strict or error.errno != errno.ENOSPC:
                raise _refusal(error) from None
            if not self.short and not self._was_short:
                log.error("%s. Until then all are looked through regularly", _refusal(error))  # noqa: TRY400
            self.short = True
            return
        self._directories[number] = directory
        self._found.add(number)

    def begin(self) -> None:
        """All directories are going to be watched anew: what comes to light from now on counts as lost again."""
        self.lost = False
        self.left.clear()
        self._was_short, self.short = self.short, False
        self._found.clear()

    def end(self) -> None:
        """All were: stop watching those that were not found, moved away in silence maybe."""
        for number in self._directories.keys() - self._found:
            self._stop(number)
        if self._was_short and not self.short:
            log.info("all directories are watched again")
        self._was_short = False

    def forget(self, directories: Mapping[str, Directory]) -> Iterator[None]:
        """Stop watching what was moved away, in steps: its path is not its own any more."""
        tops = Tops(f"{path}/" for path in directories)
        for number, directory in list(self._directories.items()):
            if tops.cover(f"{directory.path}/") and self._directories.get(number) is directory:
                self._stop(number)
            yield

    def listen(self, agenda: Agenda) -> None:
        """Note what was told since, or the first part of it, without waiting."""
        files: dict[tuple[int, str], tuple[Directory, int]] = {}
        for number, mask, _, name in self._read():
            if mask & _OVERFLOW:
                if not self.lost:
                    log.warning("more happened in the folders than the system remembers: they are looked through")
                self.lost = True
            elif (directory := self._directories.get(number)) is None:
                continue
            elif mask & _LOST:
                self._lose(number, mask, directory)
            elif not name:
                continue  # Of the directory itself: that it was unmounted, which the next one says too.
            elif mask & _IS_DIRECTORY:
                self._hear_directory(mask, directory, name)
            else:
                # A file that was made, written and closed is told of more than once; the last counts.
                files[number, name] = directory, mask
        for (_, name), (directory, mask) in files.items():
            if views := directory.views(name):
                hint = Hint.COMPLETE if mask & _COMPLETE else Hint.CHANGED
                agenda.add(Entry(f"{directory.path}/{name}", views, hint))

    def _read(self) -> list[tuple[int, int, int, str]]:
        try:
            told: list[tuple[int, int, int, str]] = parse_events(os.read(self.fileno(), _AT_ONCE))
        except BlockingIOError:
            return []
        return told

    def _hear_directory(self, mask: int, directory: Directory, name: str) -> None:
        inner = directory.below(name, self._ledgers)
        if not inner.prefixes:
            return
        if mask & _CAME:
            self.came[inner.path] = inner
            return
        self.left.add(inner.path)
        if mask & _LEFT:
            self.went[inner.path] = inner

    def _lose(self, number: int, mask: int, directory: Directory) -> None:
        """A directory is gone, or was moved; of other directories than a bucket's own their parent tells that."""
        if directory.is_bucket:
            self._stop(number)
            self.lost = True
        elif mask & flags.IGNORED:
            del self._directories[number]

    def _stop(self, number: int) -> None:
        directory = self._directories.pop(number)
        try:
            self._inotify.rm_watch(number)
        except OSError:
            log.debug("%r was not watched any more", directory.path)


def _refusal(error: OSError) -> Exception:
    """The error that names the system's limit and its value."""
    if error.errno == errno.ENOSPC:
        return ConfigurationError(
            f"Files: too many directories to watch: fs.inotify.max_user_watches is {_limit('max_user_watches')} for "
            "all programs of this user. Raise it (`sysctl fs.inotify.max_user_watches=...`), watch fewer directories "
            "(ignore=..., recursive=False), or look at them regularly instead: Files(..., poll=5)"
        )
    if error.errno == errno.EMFILE:
        return ConfigurationError(
            f"Files: inotify cannot start: fs.inotify.max_user_instances is {_limit('max_user_instances')} for all "
            "programs of this user. Raise it (`sysctl fs.inotify.max_user_instances=...`), or look at the folders "
            "regularly instead: Files(..., poll=5)"
        )
    return error


def _limit(name: str) -> str:
    try:
        return f"{int((_LIMITS / name).read_text()):,}"
    except OSError as error:
        # The system says the same when it is the process that may open no more.
        return f"not known ({error.strerror}: see `ulimit -n`)"
