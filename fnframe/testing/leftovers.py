"""What a test left behind in this process: children and threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 1.0
"""Seconds for what is just ending."""


class Leftovers:
    """The child processes and threads of this moment, with which a later one is compared."""

    def __init__(self) -> None:
        self._children = children()
        self._threads = set(threading.enumerate())

    def end_what_is_new(self) -> list[str]:
        """Kill the child processes that are new, and what descends from them; a line for each, and for each thread.

        Threads that are daemons are not counted: pools of workers keep some.
        """
        end = time.monotonic() + PATIENCE
        while (new := self._new()) and time.monotonic() < end:
            time.sleep(0.01)
        for pid in children() - self._children:
            end_process(pid)
        return new

    def _new(self) -> list[str]:
        processes = [f"the process {pid} ({command_of(pid)})" for pid in sorted(children() - self._children)]
        threads = [thread for thread in threading.enumerate() if thread not in self._threads and not thread.daemon]
        return [*processes, *(f"the thread {thread.name!r}" for thread in threads)]


def children() -> set[int]:
    """The child processes of this one."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # The thread ended just now.
            found.update(map(int, (task / "children").read_text().split()))
    return found


def command_of(pid: int) -> str:
    """How a process was started; the empty text where it is gone."""
    try:
        return " ".join(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")).strip()
    except OSError:
        return ""


def end_process(pid: int) -> None:
    """Kill a child process: a template ends what it started when its host's end of the socket, or itself, goes."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
