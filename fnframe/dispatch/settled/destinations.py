"""Where a record goes: to a function, a queue, a stream, a file of JSON lines, or a URL."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from ...destination import is_url
from ...errors import ConfigurationError
from ...event import Event
from ...function import Function, Manifest
from ...outcome import Outcome
from ..carried import Carried
from .outbox import put_letter
from .records import outcome_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.protocol import Engine
    from ..acceptance import Acceptance


class Destinations:
    """Puts records where they go. A record that is put there again, since nobody knows whether it was, is the same.

    `directory` is where relative paths count from: the app's folder. `posted` is called when a record for a URL waits.
    """

    def __init__(self, directory: Path, engine: Engine, acceptance: Acceptance, posted: Callable[[], None]) -> None:
        self._directory = directory
        self._engine = engine
        self._acceptance = acceptance
        self._posted = posted

    def check(self, manifest: Manifest) -> None:
        """Raises `ConfigurationError` for a file that cannot be written: its records would wait without end."""
        for function in manifest.functions:
            for option, destination in function.destinations():
                scheme, _, target = destination.partition(":")
                path = self._directory / target
                if scheme == "file" and (problem := _unwritable(path)) is not None:
                    told = f"function {function.name!r}: {option}: no record can be written to {path}: {problem}"
                    raise ConfigurationError(told, where=function.where)

    async def put(
        self, destination: str, function: Function, event: Event, outcome: Outcome, condition: str, attempts: int
    ) -> None:
        """Put the record of an outcome there; see `send`."""
        await self.send(destination, outcome_record(function, event, outcome, condition, attempts))

    async def send(self, destination: str, record: Event) -> None:
        """Put a record there, whatever it tells. Raises `OSError` or `FnframeError` when it could not be put.

        A function gets it as an event; a queue or a stream gets its data, under its id and in a stream under the key of
        what it tells of; a file gets its data as a line. What goes to a URL waits in the engine until it is taken.
        """
        if is_url(destination):
            await put_letter(self._engine, destination, record)
            return self._posted()
        scheme, _, target = destination.partition(":")
        carried = Carried(record.data, record.depth, record.traceparent)
        if scheme == "function":
            await self._acceptance.enqueue(target, record, trigger="destination")
        elif scheme == "queue":
            await self._acceptance.send(target, carried, id_=record.id)
        elif scheme == "stream":
            await self._acceptance.publish(target, carried, key=record.subject or record.id, id_=record.id)
        else:
            await anyio.to_thread.run_sync(_append, self._directory / target, record.data)
        return None


def _unwritable(path: Path) -> str | None:
    """Why nothing can be appended there, as far as can be seen without trying."""
    if path.is_dir():
        return os.strerror(errno.EISDIR)
    if path.exists() and not path.is_file():
        return "it is no regular file"  # To open a pipe waits for a reader, and no device keeps a line for sure.
    there = next(each for each in (path, *path.parents) if each.exists())
    if there != path and not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK) else f"{there} is not writable"


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
