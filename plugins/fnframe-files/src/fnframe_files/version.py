"""One look at a file: which version of the object it is, and whether somebody still writes to it."""

from __future__ import annotations

import os
import stat
import sys
from hashlib import blake2b
from typing import NamedTuple

from . import stamps

if sys.platform == "linux":
    import fcntl
    import signal

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_SECOND = 1_000_000_000


class Version(NamedTuple):
    """What tells one version of an object from another; times in nanoseconds since the epoch.

    The device is not part of it: its number may be another after the next boot.
    """

    inode: int
    size: int
    modified: int
    changed: int

    def is_same(self, before: Version) -> bool:
        """Whether this is the version that was seen before. `changed` does not count: a new owner is no new version."""
        return self[:3] == before[:3]

    def is_stamped(self, before: Version) -> bool:
        """Whether only the time of modification was set back right after: so do tar, wget, shutil.copy2.

        A write cannot set it to a time before the version that was seen; a second bounds what else it could be.
        """
        soon = self.changed - before.changed < _SECOND
        return self[:2] == before[:2] and self.modified < before.changed and soon

    def etag(self) -> str:
        return digest(f"{self.inode:x}-{self.size:x}-{self.modified:x}")


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


def digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def glance(path: str) -> Sight:
    """What can be told from outside. Raises `OSError` if the path cannot be seen."""
    try:
        return _sight(stamps.clock(), os.lstat(path), None)
    except (FileNotFoundError, NotADirectoryError):
        return GONE


def look(path: str) -> Sight:
    """Look at what was a regular file at a glance: opening a pipe or a device would be felt at its other end.

    Raises `OSError` if the path cannot be seen.
    """
    try:
        descriptor = os.open(path, _OPEN)
    except OSError:
        # Gone, not ours to read, a link, or no descriptor left.
        return glance(path)
    try:
        writers = _has_writers(descriptor)
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


def _sight(now: int, status: os.stat_result, writers: bool | None) -> Sight:
    if not stat.S_ISREG(status.st_mode):
        return GONE
    return Sight(version_of(status), writers, status.st_nlink, stamps.wait(now, status))
