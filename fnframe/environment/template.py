"""The host's end of a template: starts it, reads its manifest, asks it for environments and hears how they ended."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from ..errors import ConfigurationError, ImportFailed
from ..function import StartMethod
from ..outcome import MemoryMethod
from ..provider import Preparation
from .descriptors import restore_limit
from .importing import IMPORT_PATH
from .invocation import INIT_TIMEOUT
from .memory import is_stopped
from .orphans import MARK, end_marked
from .process import ProcessEnvironment
from .readiness import Readiness
from .target import PROVIDED
from .wire import VERSION, Exited, Fork, Forked, Frame, Imported, NotImported, Reader, Reaped, Release, encode

log = logging.getLogger("fnframe")

IMPORT_TIMEOUT = 60.0
"""Seconds that importing an app may take."""
END_TIMEOUT = 5.0
"""Seconds that a template may take to end its environments and itself."""
_numbers = itertools.count(1)


class Template:
    """A running template process. Made by `start_template`; ended by `close`."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: socket.socket, readiness: Readiness, mark: str
    ) -> None:
        self._process = process
        self._mark = mark
        self._control = control
        self._readiness = readiness
        self._reader = Reader()
        self._numbers = itertools.count(1)
        self._forking: dict[int, ProcessEnvironment] = {}
        self._environments: dict[int, ProcessEnvironment] = {}
        self._imported = False
        self.memory_method: MemoryMethod = "unavailable"
        self.init_timeout = INIT_TIMEOUT
        """Seconds; longer where each environment imports the app."""
        self.ended = anyio.Event()
        self.died: Callable[[], None] = lambda: None
        """Called when the template ended although nobody closed it."""

    async def manifest(self) -> Imported:
        """Wait for the import to end. Raises `ImportFailed`."""
        try:
            with anyio.fail_after(IMPORT_TIMEOUT):
                frames: Sequence[Any] = ()
                while not frames:
                    await anyio.wait_readable(self._control)
                    data = self._control.recv(65536)
                    if not data:
                        raise ImportFailed("ImportError", self._epitaph())
                    frames = self._reader.feed(data)
        except TimeoutError:
            raise ImportFailed("TimeoutError", f"importing the app took more than {IMPORT_TIMEOUT:.0f} s") from None
        first = frames[0]
        if isinstance(first, NotImported):
            raise ImportFailed(first.error_type, first.message, where=first.where, traceback=first.traceback)
        if first.version != VERSION:
            raise ConfigurationError(f"the template speaks version {first.version}, this host {VERSION}")
        self._imported = True
        if first.manifest.start_method == "spawn":
            self.init_timeout += IMPORT_TIMEOUT
        self.memory_method = first.memory_method
        self._readiness.watch(self._control.fileno(), self._hear)
        return first  # type: ignore[no-any-return]

    def fork(self) -> ProcessEnvironment | None:
        """A new environment, not bound to a function yet, to which frames can be sent at once; None after the end.

        Raises `OSError` when this process may open no more descriptors.
        """
        if self.ended.is_set():
            return None
        ours, theirs = socket.socketpair()
        try:
            output, output_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            ours.close()
            theirs.close()
            raise
        os.set_blocking(output_end, True)
        number = next(self._numbers)
        with theirs, open(output_end, "wb", 0):
            try:
                socket.send_fds(self._control, [encode(Fork(number))], [theirs.fileno(), output_end])
            except OSError:
                ours.close()
                os.close(output)
                self._end()
                return None
        self._forking[number] = environment = ProcessEnvironment(ours, output, self._readiness, self)
        return environment

    async def close(self) -> None:
        """End the template and everything that descends from it. Returns when the process is gone."""
        self.died = lambda: None
        self.urge()
        self._end()
        if not self._imported:  # Nothing descends from it yet, and an import cannot be asked to end.
            self._process.kill()
        with anyio.move_on_after(END_TIMEOUT, shield=True):
            while self._process.poll() is None:
                descriptor = os.pidfd_open(self._process.pid)
                try:
                    await anyio.wait_readable(descriptor)
                finally:
                    os.close(descriptor)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        await self.sweep()

    async def sweep(self) -> None:
        """End what is left of it if it died without doing so itself."""
        self._process.poll()
        if self._process.returncode:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(end_marked, self._mark)

    def _hear(self) -> None:
        try:
            data = self._control.recv(65536)
        except OSError:
            data = b""
        if not data:
            return self._end()
        for frame in self._reader.feed(data):
            if isinstance(frame, Forked):
                environment = self._forking.pop(frame.number)
                if frame.pid:
                    self._environments[frame.pid] = environment
                    environment.born(frame.pid)
                else:
                    environment.unborn(frame.problem)
            elif isinstance(frame, Exited):
                self._environments[frame.pid].exited(frame)
            elif isinstance(frame, Reaped):
                self._environments.pop(frame.pid).lost(frame)
        return None

    def urge(self) -> None:
        """It owes an answer: let it go on if somebody stopped it."""
        if self._process.poll() is None and is_stopped(self._process.pid):
            log.warning("the template process %d was stopped; it is told to go on", self._process.pid)
            self._process.send_signal(signal.SIGCONT)

    def release(self, pid: int) -> None:
        self._put(Release(pid))

    def _put(self, frame: Frame) -> None:
        try:
            self._control.sendall(encode(frame))
        except OSError:
            self._end()

    def _end(self) -> None:
        """The control socket is over: by our wish, or because the template died."""
        if self.ended.is_set():
            return
        self.ended.set()
        self._readiness.unwatch(self._control.fileno())
        for environment in [*self._environments.values(), *self._forking.values()]:
            environment.kill("template")
            environment.lost(None)
        self._environments.clear()
        self._forking.clear()
        self._control.close()
        self.died()

    def _epitaph(self) -> str:
        code = self._process.wait()
        ending = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"the process that imports the app ended with {ending} before the import was complete"


async def start_provided_template(
    preparation: Preparation,
    readiness: Readiness,
    root: Path,
    *,
    start_method: StartMethod | None,
    path: Sequence[str],
    variables: dict[str, str],
) -> tuple[Template, Imported]:
    """The same for a template of a provider's environments."""
    return await start_template(
        PROVIDED,
        readiness,
        root,
        app=msgspec.json.encode(preparation).decode(),
        start_method=start_method,
        path=path,
        variables={**preparation.variables, **variables},
        directory=preparation.directory,
    )


async def start_template(
    target: str,
    readiness: Readiness,
    root: Path,
    *,
    app: str | None = None,
    start_method: StartMethod | None = None,
    path: Sequence[str] = (),
    variables: dict[str, str] | None = None,
    directory: str | None = None,
) -> tuple[Template, Imported]:
    """Start a template for the target and wait for its manifest. Raises `ImportFailed`.

    `root` is the host's folder for temporary directories; `start_method` is how environments start, by default as it
    is safe. `path` is searched for modules as `PYTHONPATH` is; `variables` are set before anything of the app is
    imported; `directory` is the current one in it.
    """
    mark = f"{root}/{next(_numbers)}/"
    ours, theirs = socket.socketpair()
    # A fresh interpreter, never a fork of the host: hosts have threads. A session of its own keeps a terminal's
    # Ctrl-C away from it; the host ends it by closing the control socket.
    process = subprocess.Popen(  # noqa: ASYNC220  its end is seen at its control socket
        [
            sys.executable,
            "-P",
            "-m",
            "fnframe.environment.template_process",
            str(theirs.fileno()),
            start_method or "auto",
            target,
            *([app] if app else []),
        ],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=sys.__stderr__ if sys.__stderr__ is not None else subprocess.DEVNULL,
        env={**os.environ, **(variables or {}), IMPORT_PATH: os.pathsep.join(path), MARK: mark},
        start_new_session=True,
        cwd=directory,
    )
    theirs.close()
    restore_limit(process.pid)
    template = Template(process, ours, readiness, mark)
    try:
        return template, await template.manifest()
    except BaseException:
        await template.close()
        raise
