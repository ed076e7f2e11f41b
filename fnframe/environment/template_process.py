"""The inside of the template: the process that imported the app once and forks environments.

Started as `python -m fnframe.environment.template_process DESCRIPTOR TARGET [APP]`, or with `PROVIDED PREPARATION` in
place of a target, where what it imports is a provider's inside. It runs no threads and no event
loop, so that a fork of it is safe, and it is the parent of every environment: it alone sees how one ended.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import msgspec

from .. import app as app_module
from ..app import App
from ..errors import ConfigurationError
from ..function import Manifest
from ..provider import Inside, Preparation
from . import failure, worker
from .target import PROVIDED, directory_of, load_app
from .usage import Meter, peak_kb
from .wire import VERSION, Exited, Fork, Forked, Frame, Imported, NotImported, Reader, Reaped, Release, encode

END_TIMEOUT = 30.0
"""Seconds to wait for all that descends from this process to be gone."""
LONG_IMPORT = 5.0
"""Seconds after which an import that still runs says where it is."""


def main() -> NoReturn:
    control = socket.socket(fileno=int(sys.argv[1]))
    rest = sys.argv[3] if len(sys.argv) > 3 else None
    worker.libc.prctl(worker.PR_SET_CHILD_SUBREAPER, 1)
    # A module's prints at import are its author's to see, but the app's own arguments are none of ours.
    target, sys.argv = sys.argv[2], [sys.argv[2]]
    path = os.environ.pop("FNFRAME_IMPORT_PATH", "").split(os.pathsep)
    sys.path.extend(entry for entry in path if entry and entry not in sys.path)
    app_module.in_template = True
    worker.write_through()
    _end_with_host(control, True)
    _tell_when_long(target)
    code: App | Inside
    try:
        if target == PROVIDED:
            code = _load_inside(msgspec.json.decode(str(rest), type=Preparation))
            manifest = _completed(Manifest(app="", directory="", functions=()), None)
        else:
            code = app = load_app(target, rest)
            manifest = _completed(_manifest(app), app)
    except BaseException as error:
        _put(control, _not_imported(error, target))
        os._exit(1)
    _end_with_host(control, False)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _put(control, Imported(VERSION, manifest, Meter().method))
    _Template(code, control).serve()
    os._exit(0)


def _end_with_host(control: socket.socket, wanted: bool) -> None:
    """While the import runs nobody reads the control socket: let the kernel end this process when the host goes.

    The signal of a descriptor that becomes readable ends a process that has no handler for it; the host says nothing
    before it has the manifest.
    """
    fcntl.fcntl(control, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(control, fcntl.F_GETFL)
    fcntl.fcntl(control, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags & ~os.O_ASYNC)


def _tell_when_long(target: str) -> None:
    """An import that hangs looks like a program that does nothing: say where it is."""

    def tell(_: int, frame: FrameType | None) -> None:
        place = failure.place_in(traceback.extract_stack(frame), _folder_of(target))
        print(f"fnframe: importing {target} takes long; it is at {place or 'its first line'}", file=sys.stderr)

    signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, LONG_IMPORT)


def _folder_of(target: str) -> Path | None:
    try:
        return directory_of(target)
    except ConfigurationError:  # There is no such target, which the import will say.
        return None


def _manifest(app: App) -> Manifest:
    manifest = app.manifest()
    for function in manifest.functions:
        definition = app.definitions[function.name]
        if definition.handler is None:  # A provider runs it, elsewhere.
            continue
        try:
            # Again, now that the module is complete; what is built here is shared by all environments.
            app.sign(definition)
        except (AttributeError, NameError, SyntaxError, TypeError) as error:
            raise ConfigurationError(f"function {function.name!r}: {error}", where=function.where) from None
    if any(function.is_async for function in manifest.functions):
        from . import worker_async  # noqa: F401  once here, not in each environment
    return manifest


def _load_inside(preparation: Preparation) -> Inside:
    module, _, attribute = preparation.inside.partition(":")
    inside: Inside = getattr(importlib.import_module(module), attribute)
    sys.path[:0] = preparation.path  # Only now: the user's code must not stand in for the provider's.
    return inside


def _completed(manifest: Manifest, app: App | None) -> Manifest:
    """With what is known of this process once it has imported all that it will."""
    worker.flush()  # What was printed so far is no environment's.
    gc.collect()
    gc.freeze()
    threads = tuple(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
    return msgspec.structs.replace(manifest, baseline_mb=_baseline_mb(app), threads=threads)


def _baseline_mb(app: App | None) -> float:
    """What an environment uses that does nothing: less than the template, whose file pages a fork does not copy."""
    pid = os.fork()
    if pid == 0:
        try:
            if app is not None:
                worker.rehearse(app)
        finally:
            os._exit(0)
    _, _, usage = os.wait4(pid, 0)
    return peak_kb(usage.ru_maxrss) / 1024


def _not_imported(error: BaseException, target: str) -> NotImported:
    where = failure.where_of(error, _folder_of(target))
    if isinstance(error, ConfigurationError):
        return NotImported("ConfigurationError", error.problem, error.where or where, "")
    lines = failure.stack_of(error) + traceback.format_exception_only(error)
    return NotImported(type(error).__name__, failure.text_of(error), where, "".join(lines))


class _Template:
    def __init__(self, code: App | Inside, control: socket.socket) -> None:
        self._code = code
        self._control = control
        self._reader = Reader()
        self._pid = os.getpid()
        self._given: deque[int] = deque()
        self._environments: set[int] = set()
        self._told: set[int] = set()
        """Environments whose exit the host knows."""
        self._released: set[int] = set()
        """Environments that the host will not signal any more, dead or not."""

    def serve(self) -> None:
        wake, wake_end = socket.socketpair()
        wake.setblocking(False)
        wake_end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_end.fileno(), warn_on_full_buffer=False)
        self._inner = (wake, wake_end)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        # A fork of the host would keep the control socket open when the host is gone.
        self._host = os.pidfd_open(os.getppid())
        poll.register(self._host, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._host in ready:
                return self._end()
            if wake.fileno() in ready:
                wake.recv(4096)
                self._tell_exits()
            if self._control.fileno() in ready and not self._obey():
                return self._end()

    def _obey(self) -> bool:
        """Do what the host asks; False when it is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 16)
        except ConnectionResetError:  # Gone, with words of ours unread.
            return False
        self._given.extend(descriptors)  # They come with the first byte of their frame, which may be cut.
        for frame in self._reader.feed(data):
            if isinstance(frame, Fork):
                self._fork(frame, socket.socket(fileno=self._given.popleft()), self._given.popleft())
            elif isinstance(frame, Release):
                self._released.add(frame.pid)
                if frame.pid in self._told:
                    self._reap(frame.pid)
        return bool(data)

    def _fork(self, fork: Fork, connection: socket.socket, output: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # Too many processes: those that run go on.
            pid, problem = -1, os.strerror(error.errno or 0)
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for inherited in (self._control, *self._inner):
                    inherited.close()
                os.close(self._host)
                worker.main(self._code, connection, output, self._pid)
            finally:
                os._exit(1)
        connection.close()
        os.close(output)
        if pid < 0:
            return _put(self._control, Forked(fork.number, 0, problem))
        self._environments.add(pid)
        return _put(self._control, Forked(fork.number, pid))

    def _tell_exits(self) -> None:
        for pid in self._environments - self._told:
            # Not reaped: the host may be about to signal this process group, and its id must stay taken.
            status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if status is not None:
                self._told.add(pid)
                exited = status.si_code == os.CLD_EXITED
                code = status.si_status if exited else -status.si_status
                _put(self._control, Exited(pid, code, status.si_code == os.CLD_DUMPED))
                if pid in self._released:
                    self._reap(pid)
        self._sweep()

    def _reap(self, pid: int) -> None:
        """End what the environment left in its process group, then let its id go."""
        _kill(os.killpg, pid)
        _, _, usage = os.wait4(pid, 0)
        for known in (self._environments, self._told, self._released):
            known.discard(pid)
        cpu = usage.ru_utime + usage.ru_stime
        _put(self._control, Reaped(pid, peak_kb(usage.ru_maxrss), round(cpu * 1e6)))
        self._sweep()

    def _sweep(self) -> None:
        """End orphans: what left its process group falls to the template when its environment is gone."""
        for pid in _children(self._pid) - self._environments:
            _kill(os.kill, pid)
            os.waitpid(pid, os.WNOHANG)

    def _end(self) -> None:
        for pid in self._environments:
            _kill(os.killpg, pid)
        deadline = time.monotonic() + END_TIMEOUT
        # What the environments leave falls to this process, one generation after the other; and one with gigabytes
        # of memory takes its time to die.
        while (left := _children(self._pid)) and time.monotonic() < deadline:
            for pid in left:
                _kill(os.kill, pid)
            time.sleep(0.001)
            for pid in left:
                os.waitpid(pid, os.WNOHANG)


def _put(control: socket.socket, frame: Frame) -> None:
    try:
        control.sendall(encode(frame))
    except (BrokenPipeError, ConnectionResetError):
        pass  # The host is gone; the end of the control socket says so next.


def _children(pid: int) -> set[int]:
    with open(f"/proc/{pid}/task/{pid}/children", "rb") as children:
        return {int(child) for child in children.read().split()}


def _kill(send: Any, pid: int) -> None:
    try:
        send(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    main()
