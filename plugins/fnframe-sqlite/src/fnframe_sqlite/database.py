"""The connection: opened, checked, and locked so that every process gets its turn to write."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from fnframe.errors import ConfigurationError, EngineFailed

from . import schema
from .problems import PATIENCE, reason

if TYPE_CHECKING:
    from .place import Place

CHECKED = 64 * 2**20
"""A file of up to so many bytes is looked through when it is opened."""


class FileLost(EngineFailed):
    """The file is gone: nothing can be done any more."""


class Database:
    """One connection to the file, for one thread at a time.

    Everybody who writes takes a turn first: SQLite's own lock goes to whoever asks at the right moment, and one process
    that writes without a pause would keep the others out for seconds. Who waits for the lock holds the turn, so the one
    that has just written comes behind him.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._turn = os.open(place.beside / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = os.open(place.beside / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._synced = True
        try:
            self.connection = _open(place)
            found = os.stat(place.file)
            self._identity = (found.st_dev, found.st_ino)
            self._begin(place)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
        os.close(self._turn)
        os.close(self._lock)

    def changed(self) -> int:
        """A number that is another one when another connection has written since."""
        version: int = self.connection.pragma("data_version")
        return version

    def _check(self) -> None:
        """Raises `FileLost` if the file is not there any more: who goes on writes into what nobody will find."""
        try:
            found = os.stat(self._place.file)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._identity:
            problem = "the engine's file was removed or replaced while it was in use, and what it held is lost with it"
            raise FileLost(f"{problem}; start anew", where=str(self._place.file))

    @contextmanager
    def writing(self, *, synced: bool) -> Iterator[None]:
        """A transaction that writes; `synced`: it is on the disk when it ends."""
        with self._writing():
            if synced != self._synced:
                full = synced and self._place.synchronous == "full"
                self.connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
                self._synced = synced
            self._check()
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A transaction that only reads: it waits for nobody."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:  # Some errors have done it already.
            self.connection.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        end = time.monotonic() + PATIENCE
        _lock(self._turn, end)
        try:
            _lock(self._lock, end)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _begin(self, place: Place) -> None:
        """Make the tables of a new file; refuse one that is not ours, and one that is damaged."""
        try:
            with self._writing():
                self._check_header(str(place.file))
                if place.file.stat().st_size <= CHECKED:
                    found = self.connection.execute("PRAGMA quick_check(1)").get
                    if found != "ok":
                        raise apsw.CorruptError(found)
                self.connection.pragma("journal_mode", "wal")
        except (apsw.Error, OSError) as error:
            raise ConfigurationError(reason(error, self.connection.system_errno), where=str(place.file)) from None

    def _check_header(self, where: str) -> None:
        application = self.connection.pragma("application_id")
        version = self.connection.pragma("user_version")
        tables = self.connection.execute("SELECT count(*) FROM sqlite_schema").get
        if application == 0 and version == 0 and tables == 0:
            self._create()
        elif application != schema.APPLICATION:
            problem = "this is a database of another program: name a file of its own for the engine"
            raise ConfigurationError(problem, where=where)
        elif version > schema.VERSION:
            problem = f"this file was written by a newer fnframe-sqlite (its version {version}, ours {schema.VERSION})"
            raise ConfigurationError(f"{problem}: install that, or name another file", where=where)

    def _create(self) -> None:
        with self.connection:
            for _ in self.connection.execute(schema.TABLES):
                pass
            self.connection.execute(f"PRAGMA application_id = {schema.APPLICATION}")
            self.connection.execute(f"PRAGMA user_version = {schema.VERSION}")

    def failed(self, error: Exception) -> Exception:
        """What a caller is told of an error; those that are not SQLite's or the system's are told as they are."""
        if isinstance(error, apsw.Error | OSError):
            return EngineFailed(reason(error, self.connection.system_errno), where=str(self._place.file))
        return error


def _lock(descriptor: int, end: float) -> None:
    """Lock a file, and look for it often: a wait without an end would not end where the holder was stopped."""
    pause = 0.00002
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise apsw.BusyError("locked") from None
        time.sleep(pause)
        pause = min(pause * 1.3, 0.002)


def _open(place: Place) -> apsw.Connection:
    try:
        # Nobody else may read what events hold; the files that SQLite makes beside it get the same permissions.
        os.close(os.open(place.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(str(place.file))
    except (apsw.Error, OSError) as error:
        raise ConfigurationError(reason(error), where=str(place.file)) from None
    connection.set_busy_timeout(int(PATIENCE * 1000))
    for pragma in ("trusted_schema = OFF", "temp_store = MEMORY", "journal_size_limit = 67108864"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection
