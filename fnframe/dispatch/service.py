"""A poller at work: it ends in order, within a grace, or at once; but never half."""

from __future__ import annotations

from typing import Protocol

import anyio


class Works(Protocol):
    """What serves a queue or a stream."""

    async def prepare(self) -> None:
        """Settle what must be settled before anything may count on it."""

    async def run(self) -> None:
        """Work until `stop` is called and what had begun is done. Cancelled, give back at once what it has."""

    def stop(self) -> None:
        """Take no more, and begin nothing."""

    async def is_idle(self) -> bool:
        """Whether nothing is left to do, here or elsewhere."""


class Service:
    """Runs a poller, shielded from who is cancelled above it: only `stop` and `end` end it."""

    def __init__(self, works: Works) -> None:
        self.works = works
        self.ended = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)

    async def run(self) -> None:
        try:
            with self._scope:
                await self.works.run()
        finally:
            self.ended.set()

    def stop(self, grace: float) -> None:
        """Let what has begun finish within so many seconds; what has not by then is given back."""
        self.works.stop()
        self._scope.deadline = min(self._scope.deadline, anyio.current_time() + grace)

    def end(self) -> None:
        """Give back all that it has, now."""
        self._scope.cancel()
