"""The ledger's file: its tables, its version, and how it is opened."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import suppress
from pathlib import Path

import apsw

from fnframe import ConfigurationError

VERSION = 1

MEMORY = "memory:"

APPLICATION = 0x464E4642
"""`FNFB`: by this, SQLite files tell whose they are."""

PATIENCE, LOOK = 10.0, 0.002
"""Seconds to wait for another process that writes, and from one look whether it is done to the next. SQLite's own
looks are up to 100 ms apart, and replies are to be written within 50."""

# What many invocations have in common is one of `kinds`. Times are UTC, and end in their unit.
SCHEMA = """
CREATE TABLE app (name TEXT NOT NULL);
CREATE TABLE kinds (
    id INTEGER PRIMARY KEY,
    function TEXT NOT NULL, trigger TEXT NOT NULL, invocation_type TEXT NOT NULL, outcome TEXT NOT NULL,
    memory_mb INTEGER NOT NULL, storage_mb INTEGER NOT NULL, provisioned INTEGER NOT NULL,
    memory_method TEXT NOT NULL, tenant TEXT NOT NULL, tags TEXT NOT NULL, node TEXT NOT NULL, version TEXT NOT NULL,
    UNIQUE (function, trigger, invocation_type, outcome, memory_mb, storage_mb, provisioned, memory_method, tenant,
            tags, node, version)
);
CREATE TABLE invocations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL, attempt INTEGER NOT NULL, kind INTEGER NOT NULL,
    started_ms INTEGER NOT NULL, queued_us INTEGER NOT NULL, init_us INTEGER, duration_us INTEGER NOT NULL,
    requests INTEGER NOT NULL, peak_kb INTEGER, cpu_us INTEGER, trace_id TEXT,
    UNIQUE (request_id, attempt)
);
CREATE TABLE bursts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, before INTEGER NOT NULL, after INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE reservations (
    run TEXT NOT NULL, kind INTEGER NOT NULL, begun_ms INTEGER NOT NULL, reserved_ms INTEGER NOT NULL,
    PRIMARY KEY (run, kind, begun_ms)
) WITHOUT ROWID;
CREATE TABLE hourly (
    hour INTEGER NOT NULL, kind INTEGER NOT NULL,
    invocations INTEGER NOT NULL, requests INTEGER NOT NULL, billed_ms INTEGER NOT NULL, handler_ms INTEGER NOT NULL,
    cpu_us INTEGER NOT NULL, resident_mb_ms INTEGER NOT NULL, unmeasured INTEGER NOT NULL,
    reserved_ms INTEGER NOT NULL,
    PRIMARY KEY (hour, kind)
) WITHOUT ROWID;
CREATE TABLE spent (
    budget TEXT NOT NULL, subject TEXT NOT NULL, period INTEGER NOT NULL,
    invocations INTEGER NOT NULL, failures INTEGER NOT NULL, requests INTEGER NOT NULL, mb_ms INTEGER NOT NULL,
    provisioned_mb_ms INTEGER NOT NULL, reserved_mb_ms INTEGER NOT NULL, storage_mb_ms INTEGER NOT NULL,
    cpu_us INTEGER NOT NULL, resident_mb_ms INTEGER NOT NULL, unmeasured INTEGER NOT NULL,
    PRIMARY KEY (budget, subject, period)
) WITHOUT ROWID;
CREATE TABLE positions (
    reader TEXT PRIMARY KEY, position INTEGER NOT NULL, last TEXT NOT NULL
) WITHOUT ROWID;
"""

_numbers = itertools.count()


def memory_name() -> str:
    """A name for a new database in memory, which this process can open several times."""
    return f"file:/fnframe-ledger-{os.getpid()}-{next(_numbers)}?vfs=memdb"


def open_to_write(name: str, app: str) -> apsw.Connection:
    """The ledger in this file, or in memory under a `memory_name`; it comes into being as that of `app`.

    Raises `ConfigurationError`.
    """
    try:
        if name.startswith("file:"):
            connection = _connect(name)
            if _is_empty(connection):
                _fill(connection, app)
        else:
            if not Path(name).exists():
                _create(Path(name), app)
            connection = _connect(name)
        _check(connection, name)
        connection.pragma("synchronous", "full")
    except (apsw.Error, OSError) as error:
        raise _refused(name, f"the ledger cannot be written: {error}{_way_out(error)}") from None
    return connection


def _create(path: Path, app: str) -> None:
    """Whole or not at all: of several processes that begin at once, all use what the first has made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.part")
    try:
        # Who used what is for nobody else to read; the files that SQLite makes beside it get the same permissions.
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = _connect(str(part))
        connection.pragma("journal_mode", "wal")
        _fill(connection, app)
        connection.close()
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _connect(name: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(name, flags=flags)
    connection.set_busy_handler(_wait)
    return connection


def _wait(looks: int) -> bool:
    """Whether to look once more whether another process is done."""
    time.sleep(LOOK)
    return looks * LOOK < PATIENCE


def _is_empty(connection: apsw.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_schema").get


def _fill(connection: apsw.Connection, app: str) -> None:
    with connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO app VALUES (?)", (app,))
        connection.pragma("application_id", APPLICATION)
        connection.pragma("user_version", VERSION)


def open_to_read(name: str) -> apsw.Connection:
    """A ledger that is there, to be read beside whoever writes it. Raises `ConfigurationError`."""
    try:
        try:
            connection = _read_only(name, "")
        except apsw.CantOpenError:
            # Nobody writes it now, and in a folder that cannot be written to nobody can begin.
            connection = _read_only(name, "?immutable=1")
    except apsw.Error as error:
        raise _refused(name, f"the ledger cannot be read: {error}{_way_out(error)}") from None
    _check(connection, name)
    return connection


def _read_only(name: str, options: str) -> apsw.Connection:
    uri = name if name.startswith("file:") else f"{Path(name).absolute().as_uri()}{options}"
    # One that may not write at all would leave the files of the log beside the ledger.
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
    connection.set_busy_handler(_wait)
    connection.pragma("query_only", True)
    connection.pragma("user_version")
    return connection


def _check(connection: apsw.Connection, name: str) -> None:
    version = connection.pragma("user_version")
    if connection.pragma("application_id") != APPLICATION:
        connection.close()
        raise _refused(name, "this is no ledger of fnframe-billing: another program wrote it")
    if version != VERSION:
        connection.close()
        raise _refused(
            name,
            f"this ledger has the form {version}, and this release of fnframe-billing knows {VERSION}: a newer one "
            "wrote it. Install that, or set another `ledger` in the table [billing]",
        )


def _way_out(error: Exception) -> str:
    damaged = isinstance(error, (apsw.NotADBError, apsw.CorruptError))
    return ". Put a copy in its place, or move it away, and a new one begins" if damaged else ""


def _refused(name: str, problem: str) -> ConfigurationError:
    return ConfigurationError(problem, where=name)
