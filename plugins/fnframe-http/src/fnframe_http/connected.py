"""An invocation lasts no longer than its client waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from fnframe import FnframeError

from .body import Disconnected

if TYPE_CHECKING:
    from starlette.types import Receive

    from fnframe import Outcome

Invoke = Callable[[], Awaitable["Outcome"]]

PATIENCE = 0.1
"""Seconds before somebody looks whether the client is still there. A task for each request would cost more than a
short invocation does."""


async def while_connected(receive: Receive, invoke: Invoke) -> Outcome:
    """The outcome; raises `Disconnected` when the client went away, after the invocation is cancelled."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return await _on_trio(receive, invoke)
    watch = _Watch(receive, loop)
    try:
        return await invoke()
    except asyncio.CancelledError:
        if watch.gone and watch.task.uncancel() == 0:
            raise Disconnected from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the request's task when the client goes away."""

    __slots__ = ("_receive", "_timer", "_watcher", "gone", "task")

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.current_task(loop)
        assert task is not None
        self.task = task
        self.gone = False
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None
        self._timer = loop.call_later(PATIENCE, self._begin)

    def end(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _begin(self) -> None:
        self._watcher = asyncio.ensure_future(self._until_gone())

    async def _until_gone(self) -> None:
        await _disconnect(self._receive)
        self.gone = True
        self.task.cancel()


async def _on_trio(receive: Receive, invoke: Invoke) -> Outcome:
    outcome: Outcome | None = None
    problem: FnframeError | None = None

    async def watch() -> None:
        await _disconnect(receive)
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            outcome = await invoke()
        except FnframeError as error:
            problem = error
        tasks.cancel_scope.cancel()
    if problem is not None:
        raise problem
    if outcome is None:
        raise Disconnected
    return outcome


async def _disconnect(receive: Receive) -> None:
    """Return when the client is gone; a `receive` that fails has lost it too."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except Exception:  # noqa: S110
        pass
