"""A sleep that ends on time: event loops round up to the next millisecond, which is late for a deadline."""

from __future__ import annotations

import ctypes
import os
import struct
import time

import anyio

CLOCK_MONOTONIC = 1
_SPAN = struct.Struct("@4l")
"""`struct itimerspec`: an interval, which is none, and the time until the first end, in seconds and nanoseconds."""


class Alarm:
    """A timer of the kernel's, as a descriptor (timerfd_create(2)); where there is none, the event loop's sleep."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._set = getattr(libc, "timerfd_settime", None)
        self._timer = -1
        if self._set is not None:
            self._timer = libc.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)

    async def sleep_until(self, moment: float) -> None:
        """Return at the moment, on `time.monotonic()`'s scale. One caller at a time."""
        seconds = moment - time.monotonic()
        if self._timer < 0 or seconds <= 0:
            return await anyio.sleep(max(0.0, seconds))
        whole, part = divmod(int(seconds * 1e9), 10**9)
        assert self._set is not None
        self._set(self._timer, 0, _SPAN.pack(0, 0, whole, max(1, part)), None)
        await anyio.wait_readable(self._timer)
        return None

    def close(self) -> None:
        if self._timer >= 0:
            os.close(self._timer)
            self._timer = -1
