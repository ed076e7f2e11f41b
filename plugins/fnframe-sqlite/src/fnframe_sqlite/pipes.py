"""How an engine wakes its own writer, and the engines of other processes: a named pipe for each."""

from __future__ import annotations

import errno
import os
import select
from contextlib import suppress
from pathlib import Path

from fnframe.errors import ConfigurationError

SUFFIX = ".wake"
OWN, OTHER = b"\0", b"\1"
"""What is written by the engine itself, and by others."""


class Pipe:
    """The reading end of an engine's own pipe. It is there for others only while somebody reads it."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._folder = folder
        self._path = folder / f"{engine}{SUFFIX}"
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
        others = self.others()
        for other in others:  # They must know that they are not alone any more.
            call(folder, other)
        self.alone = not others
        """Whether no other engine uses the file: whoever comes calls those that are there."""

    def close(self) -> None:
        with suppress(OSError):  # It is removed by the next one who looks round.
            self._path.unlink()
        os.close(self._descriptor)

    def wake(self) -> None:
        """Let who waits here go on."""
        _write(self._descriptor, OWN)

    def wait(self, seconds: float | None) -> None:
        """Wait until somebody wakes this engine."""
        if not self._poll.poll(None if seconds is None else seconds * 1000):
            return
        if OTHER in os.read(self._descriptor, 65536):
            self.alone = False

    def look_round(self) -> None:
        """See whether the others are there yet."""
        self.alone = self.alone or not self.others()

    def others(self) -> list[str]:
        """The other engines; the pipes of those that ended without a word are removed."""
        others = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path != self._path:
                if (descriptor := _open(path)) is None:
                    path.unlink(missing_ok=True)
                else:
                    os.close(descriptor)
                    others.append(path.stem)
        return others


def call(folder: Path, engine: str) -> bool:
    """Wake another engine; False if it is not there any more."""
    descriptor = _open(folder / f"{engine}{SUFFIX}")
    if descriptor is None:
        return False
    try:
        _write(descriptor, OTHER)
    finally:
        os.close(descriptor)
    return True


def _open(path: Path) -> int | None:
    """The writing end of a pipe; None where nobody reads it."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return None
        raise


def _write(descriptor: int, byte: bytes) -> None:
    try:
        os.write(descriptor, byte)
    except BlockingIOError:
        pass  # It is full: who is to be woken will be.
