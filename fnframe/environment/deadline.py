"""Ends coroutines of the host's event loop at their deadlines."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, Protocol

import anyio


class DeadlinePassed(Exception):
    """The coroutine was cancelled at its deadline. Not a `TimeoutError`, which a handler may raise itself."""


class Deadlines(Protocol):
    """Awaits coroutines, each no longer than it may take."""

    async def hold(self, running: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Await it. Raises `DeadlinePassed` when it was cancelled at its deadline, and what it raises itself."""


def deadlines() -> Deadlines:
    """For the event loop that runs now."""
    loop = asyncio._get_running_loop()
    return _Scopes() if loop is None else _OneTimer(loop)


class _Scopes(Deadlines):
    async def hold(self, running: Coroutine[Any, Any, Any], seconds: float) -> Any:
        with anyio.move_on_after(seconds):
            return await running
        raise DeadlinePassed


class _OneTimer(Deadlines):
    """One timer of the loop for all that is held: a timer for each costs more than the rest of the dispatch."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held: dict[float, dict[_Held, None]] = {}
        """By timeout: what has the same is in the order of its deadlines."""
        self._timer: asyncio.TimerHandle | None = None

    async def hold(self, running: Coroutine[Any, Any, Any], seconds: float) -> Any:
        deadline = self._loop.time() + seconds
        try:
            awaited = running.send(None)
        except StopIteration as returned:  # It never waited, so there was nothing to hold.
            return returned.value
        task = asyncio.current_task(self._loop)
        assert task is not None
        held = _Held(task, deadline)
        together = self._held.get(seconds)
        if together is None:
            together = self._held[seconds] = {}
        together[held] = None
        if self._timer is None or deadline < self._timer.when():
            self._arm(deadline)
        cancelling = task.cancelling()
        try:
            return await _rest(running, awaited)
        except asyncio.CancelledError:
            # As asyncio.timeout does: ours is over, and another's, if there is one, goes on.
            if held.passed:
                held.passed = False
                if task.uncancel() <= cancelling:
                    raise DeadlinePassed from None
            raise
        finally:
            together.pop(held, None)
            if held.passed:  # It caught its cancellation, or raised something else: the task goes on.
                task.uncancel()

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._end_due)

    def _end_due(self) -> None:
        self._timer = None
        now = self._loop.time()
        for together in self._held.values():
            for held in list(together):
                if held.deadline > now:
                    break
                del together[held]
                held.passed = True
                held.task.cancel()
        soonest = min((next(iter(t)).deadline for t in self._held.values() if t), default=None)
        if soonest is not None:
            self._arm(soonest)


@types.coroutine
def _rest(running: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine whose first step is done: `await` can only begin one."""
    try:
        while True:
            try:
                answer = yield awaited
            except BaseException as error:
                awaited = running.throw(error)
            else:
                awaited = running.send(answer)
    except StopIteration as returned:
        return returned.value


class _Held:
    __slots__ = ("deadline", "passed", "task")

    def __init__(self, task: asyncio.Task[Any], deadline: float) -> None:
        self.task = task
        self.deadline = deadline
        self.passed = False
