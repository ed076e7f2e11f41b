"""Large bodies: files beside the database, each removed with the row that names it.

A body is written before its row and removed after it, so a crash may leave a file that no row names. Such orphans are
removed under the lock that every writer takes, and who puts a row in looks under that lock whether its file is there
yet: a file is never removed between the two.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from fnframe.errors import EngineFailed

from .problems import reason

if TYPE_CHECKING:
    from .transaction import Transaction

LARGE = 65_536
"""A body of more bytes lies in a file of its own."""

YOUNG = 3600.0
"""Seconds for which a file may wait for its row."""


class Bodies:
    """The folder of large bodies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, body: bytes) -> str | None:
        """Keep a body if it is large; the name of its file. Raises `EngineFailed`."""
        return await to_thread.run_sync(self._write, body) if len(body) > LARGE else None

    async def read(self, name: str) -> bytes:
        """Raises `FileNotFoundError` if somebody removed it."""
        return await to_thread.run_sync((self._folder / name).read_bytes)

    def _write(self, body: bytes) -> str:
        """Return when it is on the disk."""
        name = uuid.uuid4().hex
        try:
            with open(self._folder / name, "wb", opener=_private) as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self._folder)
        except OSError as error:
            self.remove([name])
            raise EngineFailed(reason(error), where=str(self._folder)) from None
        return name

    def check(self, name: str) -> None:
        """Raises `FileNotFoundError` if the file was taken for an orphan."""
        os.stat(self._folder / name)

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def sweep(self, tx: Transaction) -> None:
        """Remove the files that no row names, within a transaction that writes."""
        limit = time.time() - YOUNG
        for entry in os.scandir(self._folder):
            if entry.stat().st_mtime < limit and not _is_named(tx, entry.name):
                self.remove([entry.name])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _is_named(tx: Transaction, name: str) -> bool:
    sql = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE file = ?1" for table in ("message", "dead", "record"))
    return tx.one(sql, (name,)) is not None
