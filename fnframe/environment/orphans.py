"""What a process that was killed left behind: processes that it can no longer sweep, folders that it can no longer
remove."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from .memory import look_at
from .slot import remove

MARK = "FNFRAME_TEMPLATE"
"""The variable by which all that descends from a template can be found, whoever its parent is now."""
PREFIX = "fnframe-"
LOCK = ".host"
"""The file that says of a folder what it is, and whether its host lives."""
ROUNDS = 1000
"""How often what is marked is killed: it may fork."""
EXEC_TIMEOUT = 0.2
"""Seconds that a process may take to start a program."""


class Root:
    """The folder in which one host makes the temporary directories of its environments.

    A file in it is locked as long as the host lives: the system opens the lock, whichever way the host ends.
    """

    def __init__(self) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = _locked(self.path / LOCK, os.O_CREAT | os.O_EXCL)
            if self._lock >= 0:
                return  # Else another host took it for abandoned just now.

    def remove(self) -> None:
        """Remove the folder and all in it, which may take long."""
        _remove(self.path)
        os.close(self._lock)


def sweep_abandoned() -> None:
    """End and remove what hosts of this user left that were killed: what still runs of them, and their folders."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _locked(path / LOCK)
        if lock < 0:
            continue
        try:
            end_marked(f"{path}/")
            _remove(path)
        finally:
            os.close(lock)


def _remove(root: Path) -> None:
    """Remove a host's folder, its lock last: should this be interrupted, the next host knows what it is."""
    with suppress(OSError):  # A handler may have removed it.
        remove(*(path for path in root.iterdir() if path.name != LOCK))
    remove(root)


def _locked(file: Path, create: int = 0) -> int:
    """A descriptor that holds the lock of this user's file; -1 if another has it, or there is no such file."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | create, 0o600)
    except OSError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there = os.lstat(file)
        if there.st_uid == os.geteuid() and os.path.samestat(os.fstat(descriptor), there):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return -1


def end_marked(mark: str) -> None:
    """Kill every process whose mark begins so, until there is none."""
    patience = time.monotonic() + EXEC_TIMEOUT
    for _ in range(ROUNDS):
        found, unsure = marked(mark)
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not found and (not unsure or time.monotonic() > patience):
            return
        time.sleep(0.001)


def marked(mark: str) -> tuple[list[int], bool]:
    """Processes of this user whose mark begins so, and whether there may be more of them.

    A process shows its variables as its program was given them; for a moment, between its old program and its new
    one, it shows none.
    """
    variable = f"{MARK}={mark}".encode()
    found, unsure = [], False
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:  # noqa: PTH208  names are wanted
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # Gone meanwhile, or another user's.
            continue
        if any(text.startswith(variable) for text in variables.split(b"\0")):
            found.append(pid)
        elif not variables and look_at(pid).size_kb:  # Neither a zombie nor a thread of the kernel.
            unsure = True
    return found, unsure
