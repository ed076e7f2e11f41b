"""One `--until-idle` at a time in an app's folder: two would each handle all that is there."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and hold its lock inside. Raises `UsageError` if another has it, or if it cannot be written."""
    try:
        folder.mkdir(exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(0, "it is not writable")
        file = (folder / "lock").open("ab+", buffering=0)
    except OSError as error:
        raise _unusable(folder, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().decode().strip() or "unknown"
            raise UsageError(
                f"{shown(str(folder))}: another `fnframe run --until-idle` is at work there (pid {holder}); "
                "wait for its end"
            ) from None
        try:
            file.truncate(0)
            file.write(b"%d\n" % os.getpid())
        except OSError as error:
            raise _unusable(folder, error) from None
        yield


def _unusable(folder: Path, error: OSError) -> UsageError:
    problem = f"what is handled cannot be remembered there ({error.strerror}); nothing was started"
    return UsageError(f"{shown(str(folder))}: {problem}")
