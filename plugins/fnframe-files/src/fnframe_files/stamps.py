"""The times by which file systems stamp changes.

Most take the kernel's clock of the last tick, so two changes within a tick (4 ms, say) bear the same time. Linux from
6.13 on gives a change a time of its own if somebody looked since the last one, on ext4, xfs, btrfs and tmpfs.
"""

from __future__ import annotations

import os
import sys
import time

_SECOND = 1_000_000_000
_COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE of linux/time.h
_TICK = int(time.clock_getres(_COARSE_CLOCK) * _SECOND) if sys.platform == "linux" else _SECOND // 100

_precise: set[int] = set()


def clock() -> int:
    """Nanoseconds since the epoch by the clock of the last tick; to be read before a file's own stamp."""
    return time.clock_gettime_ns(_COARSE_CLOCK) if sys.platform == "linux" else time.time_ns()


def wait(now: int, status: os.stat_result) -> float:
    """Seconds after which to ask again, while a further change could bear the stamp that the file bears at `now`."""
    # A stamp from far ahead is that of a clock which was set back, or of another machine: waiting would not help.
    if status.st_dev in _precise or not 0 <= status.st_ctime_ns - now < _SECOND:
        return 0.0
    return _TICK / _SECOND


def learn(folder: str) -> None:
    """Find out with a file that has no name whether each change gets a stamp of its own in the folder's file system."""
    if sys.platform != "linux":
        return
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        tried = [_stamp(descriptor) for _ in range(8)]
        if len(set(tried)) == len(tried):
            _precise.add(os.fstat(descriptor).st_dev)
    finally:
        os.close(descriptor)


def _stamp(descriptor: int) -> int:
    os.fchmod(descriptor, 0o600)
    return os.fstat(descriptor).st_ctime_ns
