"""What queues have lent to this process, extended while it is needed: never a fixed visibility timeout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Lease, Queue

log = logging.getLogger("fnframe.poller")

LEASE = 30.0
"""Seconds for which messages are lent; after so many, what a dead host had comes to another."""


class Leases:
    """All leases of this process. One task extends them, and sleeps while there are none."""

    def __init__(self, clock: Clock, seconds: float = LEASE) -> None:
        self._clock = clock
        self.seconds = seconds
        self._held: list[tuple[Queue, set[Lease], Callable[[set[Lease]], None]]] = []
        self._some = anyio.Event()

    @contextmanager
    def kept(self, queue: Queue, held: set[Lease], lost: Callable[[set[Lease]], None]) -> Iterator[None]:
        """Extend what is in this set, leases of this queue. `lost` hears of those that ran out."""
        self._held.append((queue, held, lost))
        try:
            yield
        finally:
            self._held = [each for each in self._held if each[1] is not held]

    def came(self) -> None:
        """Something is held that was not."""
        self._some.set()

    async def keep(self) -> None:
        """Extend what is held, until cancelled."""
        while True:
            if not any(held for _, held, _ in self._held):
                self._some = anyio.Event()
                await self._some.wait()
            await self._clock.wait(anyio.Event(), self._clock.monotonic() + self.seconds / 3)
            for queue, held, lost in self._held:
                if held:
                    await self._extend(queue, held, lost)

    async def _extend(self, queue: Queue, held: set[Lease], lost: Callable[[set[Lease]], None]) -> None:
        leases = list(held)
        try:
            kept = await queue.extend(leases, self.seconds)
        except Exception as error:  # Other queues may have other engines; this one is asked again in time.
            log.error("queue %r: no heartbeat (%s: %s)", queue.name, type(error).__name__, error)  # noqa: TRY400
            return
        gone = {lease for lease, is_kept in zip(leases, kept, strict=True) if not is_kept} & held
        if gone:
            lost(gone)


async def give_back(leases: Collection[Lease], delay: float = 0.0) -> None:
    """Return messages as they were: they have not begun, or have not ended."""
    async with anyio.create_task_group() as tasks:  # An engine commits together what comes at once.
        for lease in leases:
            tasks.start_soon(_give_back, lease, delay)


async def _give_back(lease: Lease, delay: float) -> None:
    try:
        await lease.release(delay, counted=False)
    except Exception as error:
        told = "message %s could not be given back (%s: %s): it comes again when its lease runs out"
        log.warning(told, lease.message.id, type(error).__name__, error)
