"""Waiting, in the form that each event loop does fastest: for a descriptor, and for another part of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup


class Readiness:
    """Calls back when a descriptor can be read, for as long as it is watched.

    On asyncio by the loop's own readers: no task and no event for each wake-up. On trio by a task for each descriptor.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._watched: dict[int, anyio.CancelScope] = {}
        loop = asyncio._get_running_loop()
        if loop is not None:
            self.watch = loop.add_reader  # type: ignore[method-assign,assignment]
            self.unwatch = loop.remove_reader  # type: ignore[method-assign,assignment]

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self._watched[descriptor] = scope = anyio.CancelScope()
        self._tasks.start_soon(self._wait, descriptor, callback, scope)

    def unwatch(self, descriptor: int) -> None:
        scope = self._watched.pop(descriptor, None)
        if scope is not None:
            scope.cancel()

    async def _wait(self, descriptor: int, callback: Callable[[], None], scope: anyio.CancelScope) -> None:
        with scope:
            while self._watched.get(descriptor) is scope:
                await anyio.wait_readable(descriptor)
                if self._watched.get(descriptor) is scope:
                    callback()


def park() -> tuple[Awaitable[object], Callable[[], object]]:
    """What to await, and what to call, once, to end the wait.

    On asyncio a bare future: a third of what an event costs, and every invocation waits at least once.
    """
    loop = asyncio._get_running_loop()
    if loop is None:
        event = anyio.Event()
        return event.wait(), event.set
    future = loop.create_future()

    def end() -> None:
        if not future.done():
            future.set_result(None)

    return future, end
