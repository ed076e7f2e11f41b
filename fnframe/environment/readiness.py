"""Calls back when a descriptor can be read, for as long as it is watched, on asyncio and trio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup


class Readiness:
    """On asyncio the loop's own readers: no task and no event for each wake-up. On trio a task for each descriptor."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._watched: dict[int, anyio.CancelScope] = {}
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
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
