"""What went wrong with the file, in words that say what to do."""

from __future__ import annotations

import errno

import apsw

PATIENCE = 5.0
"""Seconds for which another program may hold the database before it counts as locked."""


def reason(error: apsw.Error | OSError, number: int = 0) -> str:
    """What happened, and what to do; `number` is the system's, where SQLite failed at something that it asked of it."""
    if isinstance(error, OSError):
        number = error.errno or 0
    if isinstance(error, apsw.FullError) or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"there is no space left for the engine's file ({error}): nothing of this was kept, and what was accepted "
            "before is safe; make space, then everything goes on"
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return (
            f"another program has kept the engine's file locked for {PATIENCE:g} s: end its transaction (a `sqlite3` "
            "shell, a backup), or let it go on if it was stopped; nothing of this was kept"
        )
    if isinstance(error, apsw.NotADBError):
        return "this is no SQLite database: name another file for the engine, or remove this one"
    if isinstance(error, apsw.CorruptError):
        return (
            f"the engine's file is damaged ({error}): keep a copy of it and its `-wal` file, save what can be saved "
            "with `sqlite3 FILE .recover`, and begin with a new file"
        )
    if isinstance(error, apsw.ReadOnlyError | apsw.CantOpenError | PermissionError):
        return f"the engine's file cannot be written ({error}): give the process a file and folder that it may write"
    return f"the engine's file cannot be used ({type(error).__name__}: {error})"
