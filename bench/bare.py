"""The limit for pure Python: a forked worker behind a socketpair, msgpack, the peak of memory, nothing else.

No admission, no reports, no context, no output, no recovery. What a library adds is the distance from here.
"""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVE = 65536
TIMEOUT = 30.0

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode


class Worker:
    """A forked process that runs `handler` on what comes in."""

    def __init__(self, handler: Callable[[Any], Any], nice: int = 0) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self.socket.close()
            os.nice(nice)
            _serve(theirs, handler)
        theirs.close()
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN)

    def call(self, event: Any, timeout: float = TIMEOUT) -> Any:
        """A blocking exchange. Raises `TimeoutError` and kills the worker when its time is over."""
        self.socket.send(encode((1, event)))
        if not self._poll.poll(timeout * 1e3):
            os.kill(self.pid, signal.SIGKILL)
            raise TimeoutError
        return decode(self.socket.recv(RECEIVE))[1]

    def close(self) -> None:
        self.socket.close()
        os.waitpid(self.pid, 0)


def _serve(connection: socket.socket, handler: Callable[[Any], Any]) -> NoReturn:
    try:
        reset = os.open("/proc/self/clear_refs", os.O_WRONLY)
        while data := connection.recv(RECEIVE):
            number, event = decode(data)
            os.write(reset, b"5")
            result = handler(event)
            connection.send(encode((number, result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)))
    finally:
        os._exit(0)


class Dispatcher:
    """Workers behind an asyncio loop: a queue in order, one future and one timer for each invocation."""

    def __init__(self, workers: list[Worker]) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = deque(worker.socket for worker in workers)
        self._waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self._running: dict[socket.socket, tuple[asyncio.Future[Any], asyncio.TimerHandle]] = {}
        for connection in self._idle:
            connection.setblocking(False)
            self._loop.add_reader(connection.fileno(), self._readable, connection)

    def invoke(self, event: Any) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        if self._idle:
            self._send(self._idle.popleft(), event, future)
        else:
            self._waiting.append((event, future))
        return future

    def _send(self, connection: socket.socket, event: Any, future: asyncio.Future[Any]) -> None:
        connection.send(encode((1, event)))
        self._running[connection] = future, self._loop.call_later(TIMEOUT, future.cancel)

    def _readable(self, connection: socket.socket) -> None:
        future, timer = self._running.pop(connection)
        timer.cancel()
        data = connection.recv(RECEIVE)
        if self._waiting:
            self._send(connection, *self._waiting.popleft())
        else:
            self._idle.append(connection)
        if not future.done():
            future.set_result(decode(data)[1])
