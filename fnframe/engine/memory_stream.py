"""A stream of the engine `memory:`."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import anyio

from .agenda import Agenda
from .protocol import DUPLICATE_WINDOW, Bounds, Record, partition_of

if TYPE_CHECKING:
    from ..clock import Clock
    from ..outcome import Report


class Retention(NamedTuple):
    """How long a stream keeps a record, in seconds, and how many each of its partitions keeps."""

    seconds: float
    records: int


class Partition:
    """The records of a partition: a list whose head may be gone, and who waits for more."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.gone = 0
        """So many at the head of the list are not kept any more."""
        self.last = 0
        self.arrived = anyio.Event()

    @property
    def first(self) -> int:
        return self.last - (len(self.records) - self.gone) + 1

    def append(self, record: Record, now: float) -> None:
        self.last += 1
        accepted = max(now, self.records[-1].accepted) if self.records else now
        self.records.append(Record(record.key, record.body, record.id, self.last, accepted))

    def behind(self, position: int, most: int) -> list[Record]:
        begin = self.gone + max(position + 1 - self.first, 0)
        return self.records[begin : begin + most]

    def drop(self, before: float, keep: int) -> None:
        """Keep no record from before this moment, and no more than so many."""
        self.gone = max(self.gone, len(self.records) - keep)
        if self.gone < len(self.records) and self.records[self.gone].accepted < before:
            self.gone = bisect_left(self.records, before, lo=self.gone, key=_accepted)
        if self.gone > len(self.records) // 2:
            del self.records[: self.gone]
            self.gone = 0


def _accepted(record: Record) -> float:
    return record.accepted


class MemoryStream:
    """A stream in this process. `keep` takes the reports that come with a checkpoint."""

    def __init__(
        self, name: str, partitions: int, retention: Retention, clock: Clock, keep: Callable[[Report | None], None]
    ) -> None:
        self.name = name
        self.partitions = partitions
        self._retention = retention
        self._clock = clock
        self._keep = keep
        self._partitions = [Partition() for _ in range(partitions)]
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._groups: dict[str, Consumers] = {}

    async def publish(self, records: Sequence[Record]) -> list[bool]:
        self._forget_ids()
        accepted = [not record.id or self._is_new(record.id) for record in records]
        self.append([record for record, is_new in zip(records, accepted, strict=True) if is_new])
        return accepted

    def append(self, records: Sequence[Record]) -> None:
        """Take records that are new."""
        now = self._clock.time()
        for record in records:
            partition = self._partitions[partition_of(record.key, self.partitions)]
            partition.append(record, now)
            partition.arrived.set()
        for partition in self._partitions:
            partition.drop(now - self._retention.seconds, self._retention.records)

    async def read(self, partition: int, after: int, most: int, *, wait: float = 0.0) -> list[Record]:
        source = self._partition(partition)
        end = self._clock.monotonic() + wait
        while True:
            if records := source.behind(after, most):
                return records
            if self._clock.monotonic() >= end:
                return []
            if source.arrived.is_set():
                source.arrived = anyio.Event()
            await self._clock.wait(source.arrived, end)

    async def bounds(self, partition: int) -> Bounds:
        source = self._partition(partition)
        return Bounds(source.first, source.last)

    async def position_at(self, partition: int, moment: float) -> int:
        source = self._partition(partition)
        return source.first - 1 + bisect_left(source.records, moment, lo=source.gone, key=_accepted) - source.gone

    async def join(self, group: str, consumer: str, seconds: float) -> int:
        return self._group(group).join(consumer, seconds)

    async def leave(self, group: str, consumer: str) -> None:
        self._group(group).leave(consumer)

    async def claim(self, group: str, consumer: str, most: int, seconds: float) -> list[MemoryClaim]:
        return self._group(group).claim(most, seconds)

    def holds_records(self) -> bool:
        return any(partition.last >= partition.first for partition in map(self._partition, range(self.partitions)))

    def _partition(self, number: int) -> Partition:
        """The partition, without what is too old by now."""
        partition = self._partitions[number]
        partition.drop(self._clock.time() - self._retention.seconds, self._retention.records)
        return partition

    def _group(self, name: str) -> Consumers:
        if name not in self._groups:
            self._groups[name] = Consumers(self.partitions, self._clock, self._keep)
        return self._groups[name]

    def _is_new(self, id_: str) -> bool:
        if id_ in self._seen:
            return False
        self._seen[id_] = self._clock.monotonic()
        return True

    def _forget_ids(self) -> None:
        limit = self._clock.monotonic() - DUPLICATE_WINDOW
        while self._seen and next(iter(self._seen.values())) < limit:
            self._seen.popitem(last=False)


class Consumers:
    """A group that reads a stream: who is there, who holds which partition, and how far each one is done."""

    def __init__(self, partitions: int, clock: Clock, keep: Callable[[Report | None], None]) -> None:
        self._clock = clock
        self._keep = keep
        self._present: Agenda[str] = Agenda()
        self._held: Agenda[MemoryClaim] = Agenda()
        self._free = list(range(partitions))
        self._checkpoints = [b""] * partitions

    def join(self, consumer: str, seconds: float) -> int:
        self._present.set(consumer, self._turn() + seconds)
        return len(self._present)

    def leave(self, consumer: str) -> None:
        self._present.discard(consumer)

    def claim(self, most: int, seconds: float) -> list[MemoryClaim]:
        end = self._turn() + seconds
        taken, self._free = self._free[:most], self._free[most:]
        claims = [MemoryClaim(self, partition, self._checkpoints[partition]) for partition in taken]
        for claim in claims:
            self._held.set(claim, end)
        return claims

    def commit(self, claim: MemoryClaim, checkpoint: bytes, reports: Sequence[Report]) -> bool:
        self._turn()
        if claim not in self._held:
            return False
        self._checkpoints[claim.partition] = claim.checkpoint = checkpoint
        for report in reports:
            self._keep(report)
        return True

    def extend(self, claim: MemoryClaim, seconds: float) -> bool:
        now = self._turn()
        if claim not in self._held:
            return False
        self._held.set(claim, now + seconds)
        return True

    def release(self, claim: MemoryClaim) -> None:
        if self._held.discard(claim):
            self._free.append(claim.partition)

    def _turn(self) -> float:
        """Do what has come, and say what time it is."""
        now = self._clock.monotonic()
        for _ in self._present.due(now):
            pass
        self._free += [claim.partition for claim in self._held.due(now)]
        return now


class MemoryClaim:
    """A partition of a `MemoryStream`, lent."""

    def __init__(self, consumers: Consumers, partition: int, checkpoint: bytes) -> None:
        self.partition = partition
        self.checkpoint = checkpoint
        self._consumers = consumers

    async def commit(self, checkpoint: bytes, reports: Sequence[Report] = ()) -> bool:
        return self._consumers.commit(self, checkpoint, reports)

    async def extend(self, seconds: float) -> bool:
        return self._consumers.extend(self, seconds)

    async def release(self) -> None:
        self._consumers.release(self)
