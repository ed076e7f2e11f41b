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
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise UsageError(
            f"{shown(str(folder))}: what is handled cannot be remembered there ({error.strerror}); nothing was started"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UsageError(
                f"{shown(str(folder))}: another `fnframe run --until-idle` is at work there (pid {holder}); "
                "wait for its end"
            ) from None
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield
