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

if TYPE_CHECKING:
    from .agenda import Agenda
    from .directory import Directory

log = logging.getLogger("fnframe.files")

_MASK = (
    flags.CREATE
    | flags.CLOSE_WRITE
    | flags.MOVED_TO
    | flags.MOVED_FROM
    | flags.DELETE
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.DONT_FOLLOW
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
    """Raises `ConfigurationError` where the system's limits are reached."""

    def __init__(self) -> None:
        self.came: list[str] = []
        """Directories that were made or moved in, to be scanned."""
        self.went: set[str] = set()
        """Directories that were moved away, with all that is below."""
        self.lost = False
        """Whether the system told less than there was, or a bucket's own folder went away."""
        self._directories: dict[int, Directory] = {}
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
        return bool(self.came or self.went or self.lost)

    def watch(self, directory: Directory) -> bool:
        """Watch a directory from now on; False if it is not there or may not be read."""
        try:
            number = self._inotify.add_watch(directory.path, _MASK)
        except OSError as error:
            if error.errno == errno.EACCES:
                log.warning("%s may not be read: its files are not seen", directory.path)
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise _refusal(error) from None
            return False
        self._directories[number] = directory
        return True

    def listen(self, agenda: Agenda) -> None:
        """Note what was told since, or the first part of it, without waiting."""
        files: dict[tuple[int, str], tuple[Directory, int]] = {}
        for number, mask, _, name in self._read():
            if mask & _OVERFLOW:
                log.warning("more happened in the folders than the system remembers: all files are looked at again")
                self.lost = True
            elif (directory := self._directories.get(number)) is None:
                continue
            elif mask & _LOST:
                self._lose(number, mask, directory)
            elif mask & _IS_DIRECTORY:
                self._hear_directory(mask, f"{directory.path}/{name}")
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

    def _hear_directory(self, mask: int, path: str) -> None:
        if mask & _CAME:
            self.came.append(path)
        elif mask & _LEFT:
            self._forget(path)
            self.went.add(path)

    def _lose(self, number: int, mask: int, directory: Directory) -> None:
        """A directory is gone, or was moved; of other directories than a bucket's own their parent tells that."""
        if directory.is_bucket:
            self._forget(directory.path)
            self.lost = True
        elif mask & flags.IGNORED:
            del self._directories[number]

    def _forget(self, path: str) -> None:
        """Stop watching what was moved away: its path is not its own any more."""
        below = f"{path}/"
        for number, directory in list(self._directories.items()):
            if directory.path == path or directory.path.startswith(below):
                del self._directories[number]
                try:
                    self._inotify.rm_watch(number)
                except OSError:
                    log.debug("%s was not watched any more", directory.path)


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
