"""The place of an environment in the pool: it owns the temporary directory, which outlives a crash."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path


class Slot:
    """A function's place in the pool, filled by one environment at a time.

    As in Lambda, the temporary directory survives a reset after a timeout or a crash and is removed with the slot.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, exist_ok=True)  # A handler may have removed more than its own.
        self.empty_since = 0.0
        self.directory = tempfile.mkdtemp(dir=root, prefix="slot-")

    def restore(self) -> None:
        """Make the temporary directory anew if a handler deleted it, or put something else in its place."""
        directory = Path(self.directory)
        if not directory.is_dir():
            directory.unlink(missing_ok=True)
            directory.parent.mkdir(mode=0o700, exist_ok=True)
            directory.mkdir(mode=0o700)

    def close(self) -> bool:
        """Remove the temporary directory if it is empty; False if it is left to `remove`, which may take long."""
        try:
            Path(self.directory).rmdir()
        except OSError:
            return False
        return True


def remove(*directories: str | Path) -> None:
    """Remove directories and all in them, however deep and also what a handler made unreadable: as `rm` can."""
    try:
        _run("rm", "-rf", "--", *directories)
        if any(map(os.path.lexists, directories)):
            _run("chmod", "-R", "u+rwX", "--", *directories)
            _run("rm", "-rf", "--", *directories)
    except FileNotFoundError:  # A container that has no such programs.
        for directory in directories:
            with suppress(RecursionError):
                shutil.rmtree(directory, ignore_errors=True)


def _run(*command: str | Path) -> None:
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
