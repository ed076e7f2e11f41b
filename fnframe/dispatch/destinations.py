"""Where the outcome of an asynchronous invocation goes: Lambda's destination record, to a function or a file."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread

from ..event import Event
from ..function import Function
from ..outcome import Outcome
from .records import outcome_record

Enqueue = Callable[[str, Event], Awaitable[object]]


class Destinations:
    """`function:NAME` enqueues the record as an event of that function; `file:PATH` appends it as a line of JSON.

    `directory` is where relative paths count from: the app's folder.
    """

    def __init__(self, directory: Path, enqueue: Enqueue) -> None:
        self._directory = directory
        self._enqueue = enqueue

    async def put(
        self,
        destination: str,
        function: Function,
        event: Event,
        outcome: Outcome,
        condition: str,
        attempts: int,
    ) -> None:
        """Put the record there. Raises `OSError` or `FnframeError` when it could not be put."""
        await self.send(destination, outcome_record(function, event, outcome, condition, attempts))

    async def send(self, destination: str, record: Event) -> None:
        """Put a record there, whatever it tells. Raises `OSError` or `FnframeError` when it could not be put."""
        scheme, _, target = destination.partition(":")
        if scheme == "file":
            await anyio.to_thread.run_sync(_append, self._directory / target, record.data)
        else:
            await self._enqueue(target, record)


def _append(path: Path, line: bytes) -> None:
    """Append the whole line or nothing, whatever else appends there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        try:
            written = file.write(line + b"\n")
            if written != len(line) + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise
