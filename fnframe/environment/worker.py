"""The inside of an execution environment: one process that serves one function, one invocation at a time.

It is forked from the template and speaks with the host over its own socket. Nothing here may need asyncio, anyio or
pluggy: a plain handler does not pay for them.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import sys
import tempfile
import termios
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import schema
from ..context import OVER, Context
from ..errors import FnframeError, PayloadTooLarge
from ..event import Event, encode_json, now
from ..provider import Call, Problem, Start
from . import failure
from .usage import Meter
from .wire import Ack, Bind, Drained, Frame, Invoke, Raised, Reader, Ready, Result, Send, Usage, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..app import App
    from ..provider import Inside, Serve, Used

MB = 1024 * 1024
RECEIVE = 64 * 1024
NICE = 5
"""The host must get the processor first, or its deadlines are late: 3 to 10 ms behind spinning environments."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)
_P_ALL, _WHETHER = 0, os.WEXITED | os.WNOHANG | os.WNOWAIT
_told = ctypes.addressof(_siginfo := ctypes.create_string_buffer(128))
_waitid = ctypes.PyDLL(None).waitid  # It returns at once, so there is no need to let go of the interpreter's lock.
_waitid.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_void_p, ctypes.c_int]


def main(load: Callable[[], App | Inside], connection: socket.socket, output: int) -> NoReturn:
    """Be an environment of what `load` gives, an app or a provider's inside, until the host closes the connection."""
    connection.set_inheritable(False)  # What comes over a socket, or was inherited, is not by itself.
    try:
        Worker(connection).serve(load, output)
    except SystemExit as error:
        _leave(error.code)
    except BaseException as error:
        lines = failure.stack_of(error) + traceback.format_exception_only(error)
        print("Traceback (most recent call last):\n", *lines, sep="", end="", file=sys.stderr)
        _leave(1)
    os._exit(0)


def rehearse() -> None:
    """Use the memory that an environment uses whose handler needs none."""
    connection, _ = socket.socketpair()
    Worker(connection).rehearse()


def become_clean(parent: int) -> None:
    """Have a session of one's own, and end with the parent."""
    os.setsid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:  # It died before the death signal was set.
        os._exit(0)
    _give_way()
    _be_first_to_go()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _give_way() -> None:
    """Leave the processor to the host where both want it."""
    os.nice(NICE)
    if hasattr(os, "SCHED_BATCH"):
        # Not to push the host aside the moment that it sends: it has more to send, and goes on to what waits. With 64
        # invocations in flight on two cores that is an eighth more of them.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _be_first_to_go() -> None:
    """Where the whole machine is out of memory, let the system end environments before it ends a host."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb", 0) as score:
        score.write(b"1000")


def _leave(code: object) -> NoReturn:
    """End as the interpreter would for SystemExit, without its clean-up: the host reads the exit status."""
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    flush()
    os._exit((code or 0) & 0xFF)


def _leave_copy(reply: Frame) -> NoReturn:
    """End a forked process that came out of the handler as its parent will, for want of an `os._exit`."""
    print("fnframe: a process that the handler forked came out of it, and ends here", file=sys.stderr)
    if isinstance(reply, Raised):
        told = f"{reply.error_type}: {reply.message}"
        print("Traceback (most recent call last):\n", *reply.stack_trace, told, sep="", file=sys.stderr)
    _leave(int(isinstance(reply, Raised)))


class Worker:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._reader = Reader()
        self._frames: deque[Any] = deque()
        self._meter = Meter()
        self._handler: Any = None
        self._loop: Any = None
        self._size = bytearray(4)
        self._sent = 0
        self._sender: Invoke | None = None
        """The invocation whose context may send."""
        self._sending = threading.Lock()
        self._is_copy = False
        """Whether this is a process that a handler forked, and no environment."""

    def serve(self, load: Callable[[], App | Inside], output: int) -> None:
        os.register_at_fork(after_in_child=self._become_copy)
        code, problem = None, None
        try:
            code = load()
        except Exception as error:  # Told when somebody waits for it.
            problem = error
        flush()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        bind = self.next(Bind)
        self._meter.start()
        try:
            if problem is not None:
                raise problem
            run = self._bind(code, bind)
        except Problem as refused:
            self.put(failure.refused(refused, self._stop(refused.used), bind.response_payload))
            _leave(1)
        except Exception as error:
            self.put(failure.raised(error, self._stop(), init=True))
            _leave(1)
        flush()
        pending = self._pending() if bind.provided is not None else 0
        self.put(Ready(time.monotonic(), self._meter.used()[1], pending, self._elsewhere))
        if pending:
            self.next(Drained)
        if not bind.again:
            self._meter.start()
        while True:
            invoke = self.next(Invoke)
            reply = run(invoke)
            self.put(reply)
            usage = reply.usage
            if usage.pending or usage.children or usage.peak_kb > self._memory_kb:
                # The host must read the output first, or it would take it for the next invocation's, or end this
                # environment, and what it sent ahead must not have begun then.
                self.next(Drained)

    def rehearse(self) -> None:
        """Do all that an invocation takes except its handler: what that needs is resident afterwards."""
        self._handler, self._arguments = (lambda: None), 0
        self._response_payload = MB
        invoke = Invoke("", 1.0, 1, Event(id="", source="", type="", time=now()))
        self.put(self._invoke(self._reader.feed(bytes(encode(invoke)))[0]))

    def _bind(self, code: Any, bind: Bind) -> Callable[[Invoke], Result | Raised]:
        self._temporary_directory = bind.temporary_directory
        os.environ["TMPDIR"] = tempfile.tempdir = bind.temporary_directory
        os.environ["FNFRAME_FUNCTION"] = bind.function
        os.environ["FNFRAME_ENVIRONMENT"] = bind.environment_id
        self._function = bind.provided or code.definitions[bind.function].function
        storage = self._function.ephemeral_storage * MB
        resource.setrlimit(resource.RLIMIT_FSIZE, (storage, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        self._memory_kb = bind.memory_kb
        self._response_payload = bind.response_payload
        self._asynchronous_payload = bind.asynchronous_payload
        self._elsewhere = False
        if bind.provided is not None:
            start = Start(
                bind.provided, bind.environment_id, bind.temporary_directory, bind.response_payload, bind.again
            )  # fmt: skip
            self._serve: Serve = code(start)
            self._elsewhere = self._serve.elsewhere
            self._begun = bind.again is not None
            return self._invoke_provided
        self._handler = code.definitions[bind.function].handler
        self._arguments, self._decode, _, self._complete = code.signatures[bind.function]
        if self._function.is_async:
            from .worker_async import Loop  # Imports asyncio; the template has done so already for such an app.

            self._loop = Loop(self)
        for starter in code.starters:
            starter()
        return self._invoke

    def _invoke_provided(self, invoke: Invoke) -> Result | Raised:
        if not self._begun:  # Else the first invocation began when this environment did.
            self._meter.start()
        self._begun = False
        try:
            answer = self._serve(Call(invoke.request_id, invoke.timeout, invoke.attempt, invoke.event))
        except Problem as problem:
            return failure.refused(problem, self._stop(problem.used), self._response_payload)
        usage = self._stop(answer.used)
        if len(answer.payload) > self._response_payload:
            return failure.too_large(self._response_payload, usage)
        return Result(answer.payload, answer.content_type, usage)

    def _invoke(self, invoke: Invoke) -> Result | Raised:
        self._meter.start()
        try:
            argument = self._decode(invoke.event) if self._arguments else None
            if self._arguments == 0:
                value = self._handler()
            elif self._arguments == 1:
                value = self._handler(argument)
            else:
                value = self._handler(argument, self._context(invoke))
            if self._loop is not None:
                value = self._loop.run(value)
            if self._complete is not None:
                value = self._complete(argument, value)
        except schema.InvalidEvent as problem:
            return failure.invalid_event(problem, self._stop())
        except BaseException as error:
            if not failure.is_function_error(error):
                raise
            if isinstance(error, FileNotFoundError):  # Perhaps since an earlier invocation deleted it.
                self._restore_temporary_directory()
            return failure.raised(error, self._stop())
        try:
            content_type, payload = schema.encode_result(value)
        except Exception as problem:
            return failure.invalid_result(problem, self._stop())
        usage = self._stop()
        if len(payload) > self._response_payload:
            return failure.too_large(self._response_payload, usage)
        return Result(payload, content_type, usage)

    def _context(self, invoke: Invoke) -> Context:
        function = self._function
        self._sent = 0
        self._sender = invoke
        return Context(
            request_id=invoke.request_id,
            function=function.name,
            memory=function.memory,
            deadline=time.monotonic() + invoke.timeout,
            attempt=invoke.attempt,
            trace=invoke.event.traceparent,
            send=partial(self._send, invoke),
        )

    def _stop(self, elsewhere: Used | None = None) -> Usage:
        if self._sender is not None:
            with self._sending:  # A thread that was left behind shall not read what is meant for the next invocation.
                self._sender = None
        flush()
        if elsewhere is None:
            return self._meter.stop(pending=self._pending(), children=_has_child())
        return self._meter.stop(pending=self._pending(), children=elsewhere.spent, elsewhere=elsewhere)

    def _restore_temporary_directory(self) -> None:
        with suppress(OSError):
            Path(self._temporary_directory).mkdir(mode=0o700)

    def _pending(self) -> int:
        """How many bytes of output the host has not read yet: a pipe answers at either end."""
        try:
            fcntl.ioctl(1, termios.FIONREAD, self._size)
        except OSError:  # The handler closed or replaced its standard output.
            return 0
        return int.from_bytes(self._size, sys.byteorder)

    def _send(self, invoke: Invoke, target: str, data: Any, key: str | None, delay: float) -> Any:
        body = encode_json(data)
        if len(body) > self._asynchronous_payload:
            raise PayloadTooLarge(target, len(body), self._asynchronous_payload)
        self._check_sender(invoke)  # Before the lock: a copy may have been forked while a thread held it.
        if self._loop is not None and self._loop.is_running():
            self._sent += 1
            return self._loop.exchange(Send(target, body, self._sent, key, delay))
        with self._sending:  # Threads of the handler may share its context.
            self._check_sender(invoke)
            self._sent += 1
            self.put(Send(target, body, self._sent, key, delay))
            return _accepted(self.next(Ack))

    def _check_sender(self, invoke: Invoke) -> None:
        if self._is_copy:
            raise FnframeError("only the environment's own process can send, and this one was forked from it")
        if invoke is not self._sender:
            raise FnframeError(OVER)

    def _become_copy(self) -> None:
        """In a process that a handler forked: it must neither answer for the environment nor hear what that is told."""
        self._is_copy = True
        self._sender = None
        self.connection.close()

    def put(self, frame: Frame) -> None:
        if self._is_copy:
            _leave_copy(frame)
        self.connection.sendall(encode(frame))

    def take(self, kind: type[Frame]) -> Any:
        """The first received frame of this kind, or None: an invocation that was sent ahead waits for its turn."""
        for frame in self._frames:
            if type(frame) is kind:
                self._frames.remove(frame)
                return frame
        return None

    def receive(self, flags: int = 0) -> None:
        data = self.connection.recv(RECEIVE, flags)
        if not data:  # The host is done with this environment.
            os._exit(0)
        self._frames.extend(self._reader.feed(data))

    def next(self, kind: type[Frame]) -> Any:
        """The next frame of this kind, as soon as it is there."""
        while (frame := self.take(kind)) is None:
            self.receive()
        return frame


def _accepted(ack: Ack) -> str:
    if ack.event_id is None:
        raise FnframeError(ack.problem)
    return ack.event_id


def flush() -> None:
    try:  # Each may be closed or replaced by the handler.
        sys.stdout.flush()
    except Exception:  # noqa: S110
        pass
    try:
        sys.stderr.flush()
    except Exception:  # noqa: S110
        pass


def _has_child() -> bool:
    """Also one that is dead and not waited for: the system tells of one of them only, and another may run.

    As `os.waitid`, which nearly always raises here, and that costs more than all else that is measured.
    """
    return bool(_waitid(_P_ALL, 0, _told, _WHETHER) == 0)
