"""What queues have lent to this process, extended while it is needed: never a fixed visibility timeout."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from .retry import persist

if TYPE_CHECKING:
    from ..clock import Clock
    from ..engine.protocol import Lease, Queue

log = logging.getLogger("fnframe.poller")

LEASE = 30.0
"""Seconds for which messages are lent; after so many, what a dead host had comes to another."""


class Leases:
    """All leases of this process. One task extends them."""

    def __init__(self, clock: Clock, seconds: float = LEASE) -> None:
        self._clock = clock
        self.seconds = seconds
        self._held: list[tuple[Queue, set[Lease]]] = []

    @contextmanager
    def kept(self, queue: Queue, held: set[Lease]) -> Iterator[None]:
        """Extend the leases in this set, which are of this queue; those that ran out are taken from it."""
        self._held.append((queue, held))
        try:
            yield
        finally:
            self._held = [(other, leases) for other, leases in self._held if leases is not held]

    async def keep(self) -> None:
        """Extend what is held, until cancelled. What was lost is not held any more."""
        while True:
            await self._clock.wait(anyio.Event(), self._clock.monotonic() + self.seconds / 3)
            for queue, held in self._held:
                if held:
                    await persist(partial(self._extend, queue, held), self._clock, f"queue {queue.name!r}: a heartbeat")

    async def _extend(self, queue: Queue, held: set[Lease]) -> None:
        leases = list(held)
        kept = await queue.extend(leases, self.seconds)
        lost = {lease for lease, is_kept in zip(leases, kept, strict=True) if not is_kept} & held
        if lost:
            log.warning("queue %r: %d lease(s) ran out: others may get these messages too", queue.name, len(lost))
            held -= lost


async def give_back(leases: Collection[Lease]) -> None:
    """Return messages as they were: they have not begun, or have not ended."""
    async with anyio.create_task_group() as tasks:  # An engine commits together what comes at once.
        for lease in leases:
            tasks.start_soon(_give_back, lease)


async def _give_back(lease: Lease) -> None:
    try:
        await lease.release(0.0, counted=False)
    except Exception as error:
        told = "message %s could not be given back (%s: %s): it comes again when its lease runs out"
        log.warning(told, lease.message.id, type(error).__name__, error)
