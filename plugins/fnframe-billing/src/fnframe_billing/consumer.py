"""Reads the reports that the engine keeps with what they settled, each once, also over the death of this process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec
from anyio.to_thread import run_sync

from fnframe import Report
from fnframe.engine.protocol import Bounds, Record

from .ledger import Position, Reading

if TYPE_CHECKING:
    from fnframe.engine.protocol import Stream

    from .ledger import Ledger

log = logging.getLogger("fnframe.billing")

READER = "reports"
"""The ledger's name for this reader."""

MOST_AT_ONCE = 2000
GATHER = 0.025
"""Seconds to gather records after the first."""
PATIENCE = 3600.0
RETRY = 1.0
"""Seconds until a stream that could not be read, or a ledger that could not be written, is tried again."""

_decode = msgspec.json.Decoder(Report).decode


class Consumer:
    """Takes what stands in the stream to the ledger, which keeps in the same step how far that is."""

    def __init__(self, stream: Stream, ledger: Ledger) -> None:
        self._stream = stream
        self._ledger = ledger
        self._stored = Position()
        self._after = 0
        """The position in the stream behind which nothing was taken yet."""

    async def catch_up(self) -> None:
        """Take all that stands there now."""
        await self._find()
        last = (await self._stream.bounds(0)).last
        while self._after < last:
            await self._take(await self._stream.read(0, self._after, MOST_AT_ONCE))

    async def run(self) -> None:
        """Take what comes, until cancelled."""
        while True:
            try:
                await self._find()
                while True:
                    await self._take(await self._next())
            except Exception as error:
                told = "reports cannot be taken to the ledger (%s: %s); trying again in %.1f s"
                log.error(told, type(error).__name__, error, RETRY)  # noqa: TRY400
                await anyio.sleep(RETRY)

    async def _next(self) -> Sequence[Record]:
        """Wait for records, then a little for more of them."""
        records = await self._stream.read(0, self._after, MOST_AT_ONCE, wait=PATIENCE)
        if not 0 < len(records) < MOST_AT_ONCE:
            return records
        await anyio.sleep(GATHER)
        return await self._stream.read(0, self._after, MOST_AT_ONCE)

    async def _take(self, records: Sequence[Record]) -> None:
        if not records:
            return None
        to = Position(records[-1].position, records[-1].id)
        reports = [report for record in records if (report := _report(record)) is not None]
        with anyio.CancelScope(shield=True):
            written = await run_sync(self._ledger.write, reports, {}, Reading(READER, self._stored, to))
        if written is None:  # Another process that shares the ledger was faster.
            return await self._find()
        self._stored, self._after = to, to.position
        return None

    async def _find(self) -> None:
        """Find where to go on: behind what the ledger has, or with the first record where the stream began anew."""
        self._stored = await run_sync(self._ledger.position, READER)
        bounds = await self._stream.bounds(0)
        self._after = self._stored.position
        if not self._after:
            self._after = bounds.first - 1
        elif self._after < bounds.first - 1:
            log.error("%d reports left their stream before they were billed", bounds.first - 1 - self._after)
            self._after = bounds.first - 1
        elif not await self._is_known(bounds):
            self._after = bounds.first - 1

    async def _is_known(self, bounds: Bounds) -> bool:
        """Whether the last record that was taken is the one at its position."""
        if self._after < bounds.first:
            return True  # It is gone by now, and the next is there.
        records = await self._stream.read(0, self._after - 1, 1)
        return bool(records) and records[0].id == self._stored.last


def _report(record: Record) -> Report | None:
    try:
        return _decode(record.body)
    except msgspec.DecodeError as error:
        log.error("record %s of the reports is none (%s); it is not billed", record.id, error)  # noqa: TRY400
        return None
