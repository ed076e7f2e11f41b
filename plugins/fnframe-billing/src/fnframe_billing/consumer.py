"""Reads the reports that an engine keeps with what they settled, each once, also over the death of this process."""

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

    from .keeping import Keeping

log = logging.getLogger("fnframe.billing")

MOST_AT_ONCE = 2000
GATHER = 0.025
"""Seconds to gather records after the first."""
PATIENCE = 3600.0
RETRY = 1.0
"""Seconds until a stream that could not be read, or a ledger that could not be written, is tried again."""

_decode = msgspec.json.Decoder(Report).decode


class Consumer:
    """Takes what stands in a stream to the ledger, which keeps in the same step how far its `reader` is.

    Of processes that share both, whoever is first writes; each reads all, since what it heard is written then.
    """

    def __init__(self, reader: str, stream: Stream, keeping: Keeping) -> None:
        self._reader = reader
        self._stream = stream
        self._keeping = keeping
        self._lock = anyio.Lock()
        self._stored = Position()
        self._billed = -1
        """The position in the stream up to which all is in the ledger; -1 before the first look."""
        self._seen = 0
        """The position up to which this process has read."""

    async def catch_up(self) -> None:
        """Take all that stands there now."""
        async with self._lock:
            bounds = await self._find()
            while self._seen < bounds.last:
                records = await self._stream.read(0, self._seen, MOST_AT_ONCE)
                if not records:  # It was kept long enough.
                    return
                await self._take(records)

    async def run(self) -> None:
        """Take what comes, until cancelled."""
        while True:
            try:
                async with self._lock:
                    await self._find()
                while True:
                    records = await self._next()
                    async with self._lock:
                        await self._take(records)
            except Exception as error:
                told = "reports cannot be taken to the ledger (%s: %s); trying again in %.1f s"
                log.error(told, type(error).__name__, error, RETRY)  # noqa: TRY400
                await anyio.sleep(RETRY)

    async def _next(self) -> Sequence[Record]:
        """Wait for records, then a little for more of them."""
        records = await self._stream.read(0, self._seen, MOST_AT_ONCE, wait=PATIENCE)
        if not 0 < len(records) < MOST_AT_ONCE:
            return records
        await anyio.sleep(GATHER)
        return await self._stream.read(0, self._seen, MOST_AT_ONCE)

    async def _take(self, records: Sequence[Record]) -> None:
        if records:
            with anyio.CancelScope(shield=True):
                await run_sync(self._write, records)
            self._seen = max(self._seen, records[-1].position)

    def _write(self, records: Sequence[Record]) -> None:
        """Write those that the ledger does not have."""
        to = Position(records[-1].position, records[-1].id)
        found = [(record.position, report) for record in records if (report := _report(record)) is not None]
        while self._billed < to.position:
            fresh = [report for position, report in found if position > self._billed]
            reading = Reading(self._reader, self._stored, to)
            if not self._keeping.write(fresh, reading):  # Another process was faster.
                self._stored = self._keeping.ledger.position(self._reader)
                self._billed = self._stored.position
                continue
            if records[0].position > self._billed + 1:
                left = records[0].position - self._billed - 1
                log.error("%d reports left their stream before they were billed", left)
            self._stored, self._billed = to, to.position
            found = found[: len(found) - len(fresh)]
        if found:
            self._keeping.learn([report for _, report in found])

    async def _find(self) -> Bounds:
        """Find where to begin: behind what the ledger has, or with the first record where the stream began anew."""
        bounds = await self._stream.bounds(0)
        if self._billed < 0:
            self._stored = await run_sync(self._keeping.ledger.position, self._reader)
            is_known = self._stored.position and await self._is_known(bounds)
            self._billed = self._seen = self._stored.position if is_known else bounds.first - 1
        return bounds

    async def _is_known(self, bounds: Bounds) -> bool:
        """Whether the last record that was taken is the one at its position."""
        if self._stored.position < bounds.first:
            return True  # It is gone by now, and the next is there.
        records = await self._stream.read(0, self._stored.position - 1, 1)
        return bool(records) and records[0].id == self._stored.last


def _report(record: Record) -> Report | None:
    try:
        return _decode(record.body)
    except msgspec.DecodeError as error:
        log.error("record %s of the reports is none (%s); it is not billed", record.id, error)  # noqa: TRY400
        return None
