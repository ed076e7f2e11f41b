"""Commands that wait: run on asyncio, and ended by signals in three steps."""

from __future__ import annotations

import os
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

    from .standard_output import OutputLost


class Stop:
    """Whether somebody wants the command to end.

    While the command starts, the first signal cancels it. Later the first signal lets it end in order, the
    second cancels it, and the third ends the process where it stands. When nobody can hear the command any more, it
    ends as by a first signal.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.output_lost: OutputLost | None = None
        self.asked = anyio.Event()
        self._in_order = False

    def in_order(self) -> None:
        """The command has started: from now on it ends by itself when it was asked to."""
        self._in_order = True

    async def wait(self) -> None:
        """Return when the command shall end, in order."""
        self.in_order()
        await self.asked.wait()

    def lose_output(self, error: OutputLost) -> None:
        """Standard output cannot be written to: end in order, and tell why then."""
        self.output_lost = error
        self.asked.set()

    @property
    def status(self) -> int:
        """The exit status of what a signal ended."""
        return 128 + (self.signal or 0)

    async def listen(self, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        """Heed signals until cancelled."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if scope.cancel_called:
                    sys.stdout.flush()
                    os._exit(128 + number)
                if self.asked.is_set() or not self._in_order:
                    scope.cancel()
                self.signal = number
                self.asked.set()


def run_async(command: Callable[[Stop], Awaitable[int]]) -> int:
    """Run a command to its end; its exit status, or that of the signal which cancelled it."""
    return anyio.run(_until_end, command, backend="asyncio", backend_options={"use_uvloop": _has_uvloop()})


def _has_uvloop() -> bool:
    return find_spec("uvloop") is not None


async def _until_end(command: Callable[[Stop], Awaitable[int]]) -> int:
    stop = Stop()
    status: int | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(stop.listen, tasks.cancel_scope)
        status = await command(stop)
        tasks.cancel_scope.cancel()
    if stop.output_lost is not None:
        raise stop.output_lost
    return stop.status if status is None else status
