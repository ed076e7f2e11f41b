"""The event loop of an environment whose handler is async: one loop, kept from one invocation to the next."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from ..errors import FnframeError
from .wire import Ack, Send

if TYPE_CHECKING:
    from .worker import Worker


MOST_UNANSWERED = 64
"""What one handler may have sent without an answer: answers that nobody reads must fit into the socket."""


class Loop:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._unanswered = asyncio.Semaphore(MOST_UNANSWERED)
        self._waiting: deque[asyncio.Future[Ack]] = deque()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the handler to its end, then end what it left running: it would run on in the next invocation."""
        try:
            return self._loop.run_until_complete(coroutine)
        finally:
            left = asyncio.all_tasks(self._loop)
            if left:
                self._cancel(left)
            if self._waiting:  # Of tasks that were cancelled: each answer must come before the result goes.
                self._loop.remove_reader(self._worker.connection)
                for _ in self._waiting:
                    self._worker.next(Ack)
                self._waiting.clear()

    def is_running(self) -> bool:
        return self._loop.is_running()

    async def exchange(self, frame: Send) -> str:
        """Send a frame and await its answer while the handler's other tasks go on."""
        async with self._unanswered:
            answer: asyncio.Future[Ack] = self._loop.create_future()
            self._waiting.append(answer)
            self._worker.put(frame)
            if len(self._waiting) == 1:
                self._loop.add_reader(self._worker.connection, self._receive)
            ack = await answer
        if ack.event_id is None:
            raise FnframeError(ack.problem)
        return ack.event_id

    def _receive(self) -> None:
        self._worker.receive(socket.MSG_DONTWAIT)
        while self._waiting and (ack := self._worker.take(Ack)) is not None:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_result(ack)
        if not self._waiting:
            self._loop.remove_reader(self._worker.connection)

    def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        names = ", ".join(sorted(task.get_coro().__qualname__ for task in tasks))  # type: ignore[union-attr]
        print(
            f"fnframe: the handler returned and left {len(tasks)} task(s) running, now cancelled: {names}",
            file=sys.stderr,
        )
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
