"""One look at a file: which version of the object it is, and whether somebody still writes to it."""

from __future__ import annotations

import os
import stat
import sys
from typing import NamedTuple

from . import stamps

if sys.platform == "linux":
    import fcntl
    import signal

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""To open what was seen to be a file: should it be a pipe by now, nothing waits."""
_SECOND = 1_000_000_000


class Version(NamedTuple):
    """What tells one version of an object from another; times in nanoseconds since the epoch.

    The device is not part of it: its number may be another after the next boot. `inode` is 0 where its number need
    not last either.
    """

    inode: int
    size: int
    modified: int
    changed: int

    def is_same(self, before: Version) -> bool:
        """Whether this is the version that was seen before. `changed` does not count: a new owner is no new version."""
        return self.is_at(before) and self[1:3] == before[1:3]

    def is_stamped(self, before: Version) -> bool:
        """Whether only the time of modification was set back right after: so do tar, wget, shutil.copy2.

        A write cannot set it to a time before the version that was seen; a second bounds what else it could be.
        """
        soon = self.changed - before.changed < _SECOND
        return self.is_at(before) and self.size == before.size and self.modified < before.changed and soon

    def is_at(self, before: Version) -> bool:
        return self.inode == before.inode or not (self.inode and before.inode)

    def etag(self) -> str:
        return f"{self.inode:x}.{self.size:x}.{self.modified:x}"


class Sight(NamedTuple):
    """What a look at a path found.

    `version` is None when no regular file is there. `writers` says whether somebody has the file open for writing,
    None where the system does not tell. `wait` is the seconds after which to look again, since a write in this same
    tick of the clock would leave no trace.
    """

    version: Version | None
    writers: bool | None = None
    links: int = 1
    wait: float = 0.0


GONE = Sight(None)


def glance(directory: int, name: str) -> Sight:
    """What can be told of a file in a directory from outside. Raises `OSError` if it cannot be seen."""
    try:
        return _sight(stamps.clock(), os.stat(name, dir_fd=directory, follow_symlinks=False), None)
    except FileNotFoundError:
        return GONE


def look(directory: int, name: str, *, ask: bool) -> Sight:
    """Look at what was a regular file at a glance: opening a pipe or a device would be felt at its other end.

    `ask`: whether the system can know of all who write to it. Raises `OSError` if it cannot be seen.
    """
    try:
        descriptor = os.open(name, READ, dir_fd=directory)
    except OSError:
        # Gone, not ours to read, a link, or no descriptor left.
        return glance(directory, name)
    try:
        writers = _has_writers(descriptor) if ask else None
        # While the lease is held nobody can begin to write: the figures are those of a file at rest.
        return _sight(stamps.clock(), os.fstat(descriptor), writers)
    finally:
        os.close(descriptor)


def _has_writers(descriptor: int) -> bool | None:
    """Whether a file is open for writing anywhere: the kernel grants a read lease only where it is not.

    It grants them for one's own files on local file systems. The lease ends with the descriptor; who opens the file
    for writing meanwhile waits for that.
    """
    if sys.platform != "linux":
        return None
    try:
        # By default who breaks a lease ends us with SIGIO; SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def version_of(status: os.stat_result) -> Version:
    return Version(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def version_named(etag: str) -> Version | None:
    """The version that an etag names, as if it had been written in one go; None for what is no etag of ours."""
    try:
        inode, size, modified = (int(number, 16) for number in etag.split("."))
    except ValueError:
        return None
    return Version(inode, size, modified, modified)


def _sight(now: int, status: os.stat_result, writers: bool | None) -> Sight:
    if not stat.S_ISREG(status.st_mode):
        return GONE
    return Sight(version_of(status), writers, status.st_nlink, stamps.wait(now, status))
