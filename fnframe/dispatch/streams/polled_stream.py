"""A stream that feeds a function: which of its partitions this process has, fairly shared with others."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import msgspec

from ...event import new_id
from .partition import Partition

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ...clock import Clock
    from ...engine.protocol import Claim, Stream
    from ...trigger import State
    from ..selection import Admits
    from .stream_function import StreamFunction

log = logging.getLogger("fnframe.poller")

LOOKS = 10
"""Heartbeats, and looks at who else is there, in the time for which a partition is claimed."""
LEAVE = 2.0
START = "start"
"""The key in the mapping's state of where it began."""

_encode_start = msgspec.msgpack.Encoder().encode
_decode_start = msgspec.msgpack.Decoder(dict[int, int]).decode


class PolledStream:
    """Serves one stream for one function: a consumer of the group that is all processes with this mapping.

    A partition is claimed for `claim` seconds; after so many, what a dead host had goes to another.
    """

    def __init__(
        self, stream: Stream, group: str, function: StreamFunction, state: State, clock: Clock, claim: float,
        admits: Admits | None, changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._stream = stream
        self._group = group
        self._function = function
        self._state = state
        self._clock = clock
        self._claim = claim
        self._admits = admits
        self._changed = changed
        self._consumer = new_id()
        self._partitions: list[Partition] = []
        self._starting: dict[int, int] = {}
        self._stopped = anyio.Event()
        self._news = anyio.Event()
        self._present = 0

    async def prepare(self) -> None:
        """Settle where the function begins, if it was not there before: what comes from now on is not missed."""
        started = await self._state.get(START)
        if started is None:
            positions = {partition: await self._start_of(partition) for partition in range(self._stream.partitions)}
            await self._state.compare_and_set(START, None, _encode_start(positions))
            started = await self._state.get(START)
        self._starting = _decode_start(started or b"\x80")

    async def run(self) -> None:
        """Work until `stop` is called and what had begun is done. Cancelled, commit what is done and leave."""
        try:
            async with anyio.create_task_group() as tasks:
                while not self._stopped.is_set() or self._partitions:
                    self._news = anyio.Event()
                    await self._look(tasks)
                    await self._clock.wait(self._news, self._clock.monotonic() + self._claim / LOOKS)
        finally:
            with anyio.move_on_after(LEAVE, shield=True):
                await self._leave()

    async def _leave(self) -> None:
        try:
            await self._stream.leave(self._group, self._consumer)
        except Exception as error:
            told = (
                "%s: that nobody reads it here any more could not be told (%s: %s): others know when its claim is over"
            )
            log.warning(told, self._function.source, type(error).__name__, error)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped.set()
        self._news.set()
        for partition in self._partitions:
            partition.stop()

    async def is_idle(self) -> bool:
        """Whether all is done that the partitions of this process hold."""
        if not self._present or (self._present == 1 and len(self._partitions) < self._stream.partitions):
            return False  # It has not claimed them yet.
        for partition in list(self._partitions):
            if not await partition.is_idle():
                return False
        return True

    async def _start_of(self, partition: int) -> int:
        trigger = self._function.trigger
        moment = trigger.starting_moment()
        if moment is not None:
            return await self._stream.position_at(partition, moment)
        return (await self._stream.bounds(partition)).last if trigger.start == "latest" else 0

    async def _look(self, tasks: TaskGroup) -> None:
        """Tell that this consumer is there, keep what it has, and have its fair share of the partitions."""
        try:
            for partition in list(self._partitions):
                if not await partition.claim.extend(self._claim) and not partition.stopping:
                    partition.lose()
            if not self._stopped.is_set():
                await self._share(tasks)
        except Exception as error:
            told = "%s: partitions cannot be claimed (%s: %s)"
            log.error(told, self._function.source, type(error).__name__, error)  # noqa: TRY400

    async def _share(self, tasks: TaskGroup) -> None:
        self._present = await self._stream.join(self._group, self._consumer, self._claim)
        share = math.ceil(self._stream.partitions / self._present)
        held = [partition for partition in self._partitions if not partition.stopping]
        for partition in held[share:]:  # For others who came meanwhile.
            partition.stop()
        if len(held) < share:
            most = share - len(held)
            for claim in await self._stream.claim(self._group, self._consumer, most, self._claim):
                self._begin(claim, tasks)

    def _begin(self, claim: Claim, tasks: TaskGroup) -> None:
        partition = Partition(
            claim,
            self._stream,
            self._function,
            self._clock,
            self._starting.get(claim.partition, 0),
            self._admits,
            self._changed,
        )
        self._partitions.append(partition)
        tasks.start_soon(self._serve, partition)

    async def _serve(self, partition: Partition) -> None:
        try:
            await partition.run()
            self._news.set()
        except Exception:
            told = "%s: partition %d ended; at the next look it begins anew behind what is done"
            log.exception(told, self._function.source, partition.claim.partition)
        finally:
            self._partitions.remove(partition)
