"""The parent of environments: starts them as the host asks, tells it of births and deaths, and sweeps what they leave.

It runs no threads and no event loop. It alone sees how an environment ended.

What it calls of the system is imported by name, before the app is: gevent and its like put functions of their own in
the place of many, which wait for children themselves.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from os import kill, killpg, wait4, waitid, waitpid
from select import POLLIN, poll
from signal import set_wakeup_fd
from signal import signal as set_handler
from socket import recv_fds, socket, socketpair
from time import monotonic, sleep

from .usage import peak_kb
from .wire import Exited, Fork, Forked, Frame, Reader, Reaped, Release, encode

END_TIMEOUT = 30.0
"""Seconds to wait for all that descends from this process to be gone."""

Begin = Callable[[socket, int], int]
"""Starts an environment on its socket and its output; its process id. Raises `OSError` where there is no room."""


class Parent:
    """Serves a host over the control socket until that ends."""

    def __init__(self, control: socket) -> None:
        self._control = control
        self._reader = Reader()
        self._pid = os.getpid()
        self._given: deque[int] = deque()
        self._environments: set[int] = set()
        self._told: set[int] = set()
        """Environments whose exit the host knows."""
        self._released: set[int] = set()
        """Environments that the host will not signal any more, dead or not."""

    def serve(self, begin: Begin) -> None:
        self._begin = begin
        wake, wake_end = socketpair()
        wake.setblocking(False)
        wake_end.setblocking(False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        set_handler(signal.SIGCHLD, lambda *_: None)
        set_wakeup_fd(wake_end.fileno(), warn_on_full_buffer=False)
        self._inner = (wake, wake_end)
        polled = poll()
        polled.register(self._control, POLLIN)
        polled.register(wake, POLLIN)
        # A fork of the host would keep the control socket open when the host is gone.
        self._host = os.pidfd_open(os.getppid())
        polled.register(self._host, POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in polled.poll()}
            if self._host in ready:
                return self._end()
            if wake.fileno() in ready:
                wake.recv(4096)
                self._tell_exits()
            if self._control.fileno() in ready and not self._obey():
                return self._end()

    def forget(self) -> None:
        """Let go of all this in a process that was forked of this one."""
        set_wakeup_fd(-1)
        set_handler(signal.SIGCHLD, signal.SIG_DFL)
        for inherited in (self._control, *self._inner):
            inherited.close()
        os.close(self._host)

    def _obey(self) -> bool:
        """Do what the host asks; False when it is gone."""
        try:
            data, descriptors, _, _ = recv_fds(self._control, 4096, 16)
        except ConnectionResetError:  # Gone, with words of ours unread.
            return False
        self._given.extend(descriptors)  # They come with the first byte of their frame, which may be cut.
        for frame in self._reader.feed(data):
            if isinstance(frame, Fork):
                self._start(frame, socket(fileno=self._given.popleft()), self._given.popleft())
            elif isinstance(frame, Release):
                self._released.add(frame.pid)
                if frame.pid in self._told:
                    self._reap(frame.pid)
        return bool(data)

    def _start(self, fork: Fork, connection: socket, output: int) -> None:
        try:
            pid, problem = self._begin(connection, output), ""
            self._environments.add(pid)
        except OSError as error:  # Too many processes: those that run go on.
            pid, problem = 0, os.strerror(error.errno or 0)
        connection.close()
        os.close(output)
        put(self._control, Forked(fork.number, pid, problem))

    def _tell_exits(self) -> None:
        for pid in self._environments - self._told:
            # Not reaped: the host may be about to signal this process group, and its id must stay taken.
            status = waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if status is not None:
                self._told.add(pid)
                exited = status.si_code == os.CLD_EXITED
                code = status.si_status if exited else -status.si_status
                put(self._control, Exited(pid, code, status.si_code == os.CLD_DUMPED))
                if pid in self._released:
                    self._reap(pid)
        self._sweep()

    def _reap(self, pid: int) -> None:
        """End what the environment left in its process group, then let its id go."""
        _kill(killpg, pid)
        _, _, usage = wait4(pid, 0)
        for known in (self._environments, self._told, self._released):
            known.discard(pid)
        cpu = usage.ru_utime + usage.ru_stime
        put(self._control, Reaped(pid, peak_kb(usage.ru_maxrss), round(cpu * 1e6)))
        self._sweep()

    def _sweep(self) -> None:
        """End orphans: what left its process group falls to this process when its environment is gone."""
        for pid in _children(self._pid) - self._environments:
            _kill(kill, pid)
            waitpid(pid, os.WNOHANG)

    def _end(self) -> None:
        for pid in self._environments:
            _kill(killpg, pid)
        deadline = monotonic() + END_TIMEOUT
        # What the environments leave falls to this process, one generation after the other; and one with gigabytes
        # of memory takes its time to die.
        while (left := _children(self._pid)) and monotonic() < deadline:
            killed = [_kill(kill, pid) for pid in left]
            if not any(killed):
                return
            sleep(0.001)
            for pid in left:
                waitpid(pid, os.WNOHANG)


def put(control: socket, frame: Frame) -> None:
    """Tell the host."""
    try:
        control.sendall(encode(frame))
    except (BrokenPipeError, ConnectionResetError):
        pass  # The host is gone; the end of the control socket says so next.


def _children(pid: int) -> set[int]:
    with open(f"/proc/{pid}/task/{pid}/children", "rb") as children:
        return {int(child) for child in children.read().split()}


def _kill(send: Callable[[int, int], None], pid: int) -> bool:
    """False where there is none, or none that is ours to kill: what a handler started with `sudo`, say."""
    try:
        send(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True
