"""The inside of the template: the process that imports the app once and forks environments.

Started as `python -m fnframe.environment.template_process DESCRIPTOR START_METHOD TARGET [APP]`, or with
`PROVIDED PREPARATION` in place of a target, where what it imports is a provider's inside. Where a fork of it is not
safe, it becomes a spawner.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import sys
import threading
import traceback
from os import fork, wait4  # By name, before the app is imported: see `parent`.
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from ..app import App
from ..errors import ConfigurationError
from ..function import Manifest
from ..provider import Inside
from . import failure, importing, spawner, worker
from .memory import look_at
from .parent import Parent, put
from .target import directory_of
from .usage import Meter, peak_kb
from .wire import VERSION, Imported, NotImported

LONG_IMPORT = 5.0
"""Seconds after which an import that still runs says where it is."""


def main() -> NoReturn:
    control = socket.socket(fileno=int(sys.argv[1]))
    wish, arguments = sys.argv[2], sys.argv[3:]
    target, rest = arguments[0], arguments[1] if len(arguments) > 1 else None
    folder, variables, umask = Path.cwd(), dict(os.environ), os.umask(0)
    os.umask(umask)
    worker.libc.prctl(worker.PR_SET_CHILD_SUBREAPER, 1)
    importing.prepare(target)
    _end_with_host(control, True)
    _tell_when_long(target)
    try:
        code = importing.load(target, rest)
        manifest = code.manifest() if isinstance(code, App) else Manifest(app="", directory="", functions=())
    except BaseException as error:
        put(control, _not_imported(error, target))
        os._exit(1)
    _end_with_host(control, False)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    worker.flush()  # What was printed so far is no environment's.
    threads = tuple(thread.name for thread in threading.enumerate() if thread is not threading.main_thread())
    start_method = wish if wish != "auto" else "fork" if sys.platform == "linux" and not threads else "spawn"
    baseline_mb = _prepare_fork(code) if start_method == "fork" else look_at(os.getpid()).resident_kb / 1024
    manifest = msgspec.structs.replace(manifest, baseline_mb=baseline_mb, threads=threads, start_method=start_method)
    meter = Meter()
    meter.close()  # Nothing of this process is to be open in environments.
    put(control, Imported(VERSION, manifest, meter.method))
    if start_method == "spawn":
        spawner.become(control, arguments, str(folder), variables, umask)
    _serve(code, control)
    os._exit(0)


def _serve(code: App | Inside, control: socket.socket) -> None:
    parent, pid = Parent(control), os.getpid()

    def begin(connection: socket.socket, output: int) -> int:
        child = fork()
        if child == 0:
            try:
                parent.forget()
                worker.become_clean(pid)
                worker.main(lambda: code, connection, output)
            finally:
                os._exit(1)
        return child

    parent.serve(begin)


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


def _prepare_fork(code: App | Inside) -> float:
    """Do what environments need not do each; what one uses that does nothing, in MB.

    Less than this process, whose file pages a fork does not copy.
    """
    if isinstance(code, App) and any(definition.function.is_async for definition in code.definitions.values()):
        from . import worker_async  # noqa: F401
    gc.collect()
    gc.freeze()
    pid = fork()
    if pid == 0:
        try:
            if isinstance(code, App):
                worker.rehearse()
        finally:
            os._exit(0)
    _, _, usage = wait4(pid, 0)
    return peak_kb(usage.ru_maxrss) / 1024


def _not_imported(error: BaseException, target: str) -> NotImported:
    where = failure.where_of(error, _folder_of(target))
    if isinstance(error, ConfigurationError):
        return NotImported("ConfigurationError", error.problem, error.where or where, "")
    lines = failure.stack_of(error) + traceback.format_exception_only(error)
    return NotImported(type(error).__name__, failure.text_of(error), where, "".join(lines))


if __name__ == "__main__":
    main()
