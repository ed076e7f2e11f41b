"""The place of an environment in the pool: it owns the temporary directory, which outlives a crash."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path


class Slot:
    """A function's place in the pool, filled by one environment at a time.

    As in Lambda, the temporary directory survives a reset after a timeout or a crash and is removed with the slot.
    """

    def __init__(self, root: Path) -> None:
        self.empty_since = 0.0
        self.directory = tempfile.mkdtemp(dir=root, prefix="slot-")

    def close(self) -> None:
        """Remove the temporary directory and all in it, also what a handler made unreadable."""
        shutil.rmtree(self.directory, onerror=_force)


def _force(function: object, path: str, _: object) -> None:
    try:
        os.chmod(Path(path).parent, stat.S_IRWXU)
        os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(path) if Path(path).is_dir() else os.unlink(path)
    except OSError:
        pass
