"""The process of a function that runs in an executable of its own: started, measured, and watched for its end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from typing import NoReturn

from fnframe.provider import Problem, Used

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
TICKS = os.sysconf("SC_CLK_TCK")


def _end_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A runtime's process, in the process group of its environment, so that it ends with it.

    Peak memory is `VmHWM` of /proc/PID/status, which a `5` in /proc/PID/clear_refs sets back before each invocation
    (proc(5)); processor time is that of the process's own clock, and of its children that it waited for.
    """

    def __init__(self, command: list[str], directory: str) -> None:
        try:
            # Its end is seen at a descriptor, and its status is asked for only then.
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  this process has one thread
            )
        except OSError as error:
            problem = f"fork/exec {command[0]}: {(error.strerror or '').lower()}"
            raise Problem("Runtime.InvalidEntrypoint", problem) from None
        pid = self._process.pid
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        self._clock = (~pid << 3) | 2  # clock_getcpuclockid(3), which Python does not have.
        self._status = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        self._stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._clear_refs = os.open(f"/proc/{pid}/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self._clear_refs = -1
        self._cpu = 0.0
        self._cpu_of_children = 0.0
        self._looked = 0.0

    def begin(self) -> None:
        """An invocation begins: set its peak back."""
        if self._clear_refs >= 0:
            try:
                os.write(self._clear_refs, b"5")
            except OSError:
                self._clear_refs = -1

    def used(self, *, spent: bool = False) -> Used:
        """What it used since it was asked before."""
        try:
            status = os.pread(self._status, 4096, 0)
            place = status.index(b"VmHWM:") + 6
            peak = int(status[place : status.index(b"kB", place)])
            cpu = time.clock_gettime(self._clock) + self._of_children()
        except (OSError, ValueError):  # It is gone.
            return Used(0, 0, spent)
        before, self._cpu = self._cpu, cpu
        return Used(peak, max(0, round((cpu - before) * 1e6)), spent)

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end_like_it(self) -> NoReturn:
        """End this environment as the runtime ended: the host reads the exit status of the one as that of the other."""
        code = self._process.wait()
        if code >= 0:
            os._exit(code)
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
        os._exit(1)

    def reap_orphans(self) -> None:
        """Wait for what the runtime's own children left, which falls to this process."""
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid == self.pid:
                return
            os.waitpid(found.si_pid, os.WNOHANG)

    def _of_children(self) -> float:
        """Processor time of children that it waited for, which the system counts in ticks of 10 ms: a look at each of
        many short invocations would cost more than it could find."""
        now = time.monotonic()
        if now - self._looked >= 1 / TICKS:
            self._looked = now
            fields = os.pread(self._stat, 1024, 0).rpartition(b")")[2].split()
            self._cpu_of_children = (int(fields[13]) + int(fields[14])) / TICKS
        return self._cpu_of_children
