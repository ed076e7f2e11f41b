"""How an engine wakes its own writer, and the engines of other processes: a named pipe for each."""

from __future__ import annotations

import errno
import os
import select
from contextlib import suppress
from pathlib import Path

from fnframe.errors import ConfigurationError

SUFFIX = ".wake"


class Pipe:
    """The reading end of an engine's own pipe. It is there for others only while somebody reads it."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._path = folder / f"{engine}{SUFFIX}"
        _remove_the_dead(folder)
        part = self._path.with_suffix(".part")
        try:
            os.mkfifo(part, 0o600)
            # For writing too: else it would be at its end whenever nobody else has it open.
            self._descriptor = os.open(part, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            part.rename(self._path)
        except OSError as error:
            problem = f"no named pipe can be made beside the engine's file ({error.strerror})"
            raise ConfigurationError(f"{problem}: put it on another file system", where=str(folder)) from None
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def close(self) -> None:
        with suppress(OSError):  # It is removed by the next one who opens the engine.
            self._path.unlink()
        os.close(self._descriptor)

    def wake(self) -> None:
        """Let who waits here go on."""
        _write(self._descriptor)

    def wait(self, seconds: float | None) -> None:
        """Wait until somebody wakes this engine."""
        if self._poll.poll(None if seconds is None else seconds * 1000):
            os.read(self._descriptor, 65536)


def call(folder: Path, engine: str) -> bool:
    """Wake another engine; False if it is not there any more."""
    try:
        descriptor = os.open(folder / f"{engine}{SUFFIX}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    try:
        _write(descriptor)
    finally:
        os.close(descriptor)
    return True


def _write(descriptor: int) -> None:
    try:
        os.write(descriptor, b"\0")
    except BlockingIOError:
        pass  # It is full: who is to be woken will be.


def _remove_the_dead(folder: Path) -> None:
    """Remove pipes whose engines ended without a word."""
    for path in folder.glob(f"*{SUFFIX}"):
        if not call(folder, path.stem):
            path.unlink(missing_ok=True)
