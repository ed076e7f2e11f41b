"""A stream, and the claims of its partitions, as the protocol has them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fnframe.engine.protocol import Bounds, Record

from . import records as sql
from .records import Published
from .request import Request

if TYPE_CHECKING:
    from fnframe.outcome import Report

    from .transaction import Transaction
    from .writer import Writer


class SqliteStream:
    """A stream in the file."""

    def __init__(self, name: str, writer: Writer) -> None:
        self.name = name
        self._writer = writer

    @property
    def partitions(self) -> int:
        """As the file has it; for a stream that is not there yet, as it would be made."""
        return self._writer.partitions[self.name]

    async def publish(self, records: Sequence[Record]) -> list[bool]:
        while True:
            published = [Published(record, await self._writer.bodies.keep(record.body)) for record in records]
            try:
                return await self._writer.ask(Request(sql.publish, self.name, published))
            except FileNotFoundError:
                continue  # It took so long that its large bodies were taken for leftovers.
            except Exception:
                self._writer.bodies.remove(file for _, file in published if file is not None)
                raise

    async def read(self, partition: int, after: int, most: int, *, wait: float = 0.0) -> list[Record]:
        if wait > 0:

            def channel(tx: Transaction) -> int:
                return -tx.stream(self.name).partitions[partition].number

            # It writes: that it waits.
            request = Request(sql.read, self.name, partition, after, most, synced=False, channel=channel, patient=True)
            found = await self._writer.ask(request, wait=wait)
        else:
            found = await self._writer.ask(Request(sql.read, self.name, partition, after, most, writes=False))
        return [await self._whole(record, file) for record, file in found]

    async def bounds(self, partition: int) -> Bounds:
        return await self._writer.ask(Request(sql.bounds, self.name, partition, writes=False))

    async def position_at(self, partition: int, moment: float) -> int:
        return await self._writer.ask(Request(sql.position_at, self.name, partition, moment, writes=False))

    async def join(self, group: str, consumer: str, seconds: float) -> int:
        return await self._writer.ask(Request(sql.join, self.name, group, consumer, seconds, synced=False))

    async def leave(self, group: str, consumer: str) -> None:
        await self._writer.ask(Request(sql.leave, self.name, group, consumer, synced=False))

    async def claim(self, group: str, consumer: str, most: int, seconds: float) -> list[SqliteClaim]:
        number = random.getrandbits(62)

        def undo(rows: list[sql.ClaimRow]) -> None:
            for row in rows:
                SqliteClaim(self._writer, row, group, number).give_back()

        request = Request(sql.claim, self.name, group, most, seconds, number, synced=False, undo=undo)
        return [SqliteClaim(self._writer, row, group, number) for row in await self._writer.ask(request)]

    async def _whole(self, record: Record, file: str | None) -> Record:
        if file is None:
            return record
        return replace(record, body=await self._writer.bodies.read(file))


class SqliteClaim:
    """A partition of a `SqliteStream`, lent."""

    def __init__(self, writer: Writer, row: sql.ClaimRow, group: str, number: int) -> None:
        self.partition = row.partition
        self.checkpoint = row.checkpoint
        self._writer = writer
        self._claim = (row.number, group, number)

    async def commit(self, checkpoint: bytes, reports: Sequence[Report] = ()) -> bool:
        is_held = await self._writer.ask(Request(sql.commit, *self._claim, checkpoint, reports))
        if is_held:
            self.checkpoint = checkpoint
        return is_held

    async def extend(self, seconds: float) -> bool:
        return await self._writer.ask(Request(sql.extend_claim, *self._claim, seconds, synced=False))

    async def release(self) -> None:
        await self._writer.ask(Request(sql.release_claim, *self._claim, synced=False))

    def give_back(self) -> None:
        """Release it without waiting."""
        self._writer.tell(Request(sql.release_claim, *self._claim, synced=False))
