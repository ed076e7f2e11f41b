"""What one mapping has delivered and has still to deliver."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from fnframe import Event, QueueFull

from .names import key_of, name_of
from .objects import ObjectCreated, ObjectRemoved
from .pattern import Selection
from .version import Version, digest

if TYPE_CHECKING:
    from fnframe import Mapping

    from .trigger import Files, FilesSettings

log = logging.getLogger("fnframe.files")

AT_ONCE = 64
_encode = msgspec.json.Encoder().encode
_read_version = msgspec.json.Decoder(Version).decode


class Ledger:
    """Compares what lies in the folder with what was delivered, and delivers the difference.

    `known` holds the version last delivered of each key; it is kept in the mapping's state too, where a version is
    entered after its event was accepted: a crash between the two repeats the event, with the same id.
    """

    def __init__(self, mapping: Mapping) -> None:
        trigger: Files = mapping.trigger
        self.trigger = trigger
        self.settings: FilesSettings = mapping.settings
        self.root = str((mapping.directory / trigger.bucket).resolve())
        self.known: dict[str, Version] = {}
        self.delivered = 0
        self._mapping = mapping
        self._source = f"files:{quote(trigger.bucket)}"
        self._selection = Selection(trigger.pattern, trigger.ignore)
        self._todo: dict[str, Version | None] = {}
        self._arrived = anyio.Event()
        self._idle = anyio.Event()

    def __repr__(self) -> str:
        return f"<Ledger {self.root}: {len(self.known)} delivered, {len(self._todo)} to do>"

    async def load(self) -> None:
        """Read what was delivered before."""
        items = await self._mapping.state.items()
        self.known = {key: _read_version(value) for key, value in items}

    def prefix_of(self, directory: str) -> str | None:
        """What the keys of a directory's files begin with; None where the directory is not ours."""
        if directory == self.root:
            return ""
        if not self.trigger.recursive or not directory.startswith(f"{self.root}/"):
            return None
        prefix = key_of(directory[len(self.root) + 1 :]) + "/"
        return prefix if self._selection.enters(prefix) else None

    def takes(self, prefix: str, name: str) -> bool:
        return self._selection.takes(prefix, name)

    def path_of(self, key: str) -> str:
        return f"{self.root}/{name_of(key)}"

    def all_keys(self) -> Iterator[str]:
        """The keys of all objects that were delivered or will be."""
        yield from self.known
        yield from self._todo

    def has(self, key: str, version: Version) -> bool:
        """Whether a scan that sees this version sees nothing new."""
        before = self.known.get(key)
        return before is not None and (version.is_same(before) or version.is_stamped(before))

    def found(self, key: str, version: Version | None) -> None:
        """Take note of a complete version, or that the object is gone."""
        self._todo[key] = version
        self._arrived.set()

    async def deliver(self) -> None:
        """Deliver what is found until cancelled."""
        while True:
            if not self._todo:
                self._idle.set()
                await self._arrived.wait()
                self._idle = anyio.Event()
            self._arrived = anyio.Event()
            for number, key in enumerate(list(self._todo)):
                await self._settle(key, self._todo.pop(key))
                if number % AT_ONCE == 0:
                    await checkpoint()

    async def drained(self) -> None:
        """Wait until all that was found is delivered."""
        while self._todo or not self._idle.is_set():
            await self._idle.wait()

    async def _settle(self, key: str, version: Version | None) -> None:
        before = self.known.get(key)
        if version is None:
            if before is not None:
                await self._remove(key, before)
        elif before is None or not version.is_same(before):
            await self._create(key, version)

    async def _create(self, key: str, version: Version) -> None:
        self.known[key] = version
        if "created" in self.trigger.events:
            moment = dt.datetime.fromtimestamp(version.changed / 1e9, dt.UTC)
            await self._enqueue(ObjectCreated, key, version, moment)
        await self._mapping.state.put(key, _encode(version))

    async def _remove(self, key: str, before: Version) -> None:
        del self.known[key]
        if "removed" in self.trigger.events:
            await self._enqueue(ObjectRemoved, key, before, dt.datetime.now(dt.UTC))
        await self._mapping.state.delete(key)

    async def _enqueue(
        self, kind: type[ObjectCreated | ObjectRemoved], key: str, version: Version, moment: dt.datetime
    ) -> None:
        event = self._event(kind, key, version, moment)
        delay = 0.05
        while True:
            try:
                await self._mapping.enqueue(event)
            except QueueFull as full:
                log.debug("%s waits: %s", key, full)
                await anyio.sleep(delay)
                delay = min(2 * delay, 1.0)
            else:
                self.delivered += 1
                return

    def _event(
        self, kind: type[ObjectCreated | ObjectRemoved], key: str, version: Version, moment: dt.datetime
    ) -> Event:
        bucket, etag = self.trigger.bucket, version.etag()
        data = kind(
            bucket=bucket,
            key=key,
            folder=self.root,
            size=version.size,
            etag=etag,
            sequencer=_next_sequencer(),
            time=moment,
        )
        # `changed` tells a file that was moved away and back from an event that is repeated.
        identity = f"{kind.__name__}/{self._mapping.function.name}/{version.changed:x}/{etag}/{bucket}/{key}"
        return Event(
            id=digest(identity),
            source=self._source,
            type=f"fnframe.files.{kind.__name__}",
            subject=key,
            time=moment,
            data=_encode(data),
        )


_last = 0


def _next_sequencer() -> str:
    global _last
    _last = max(_last + 1, time.time_ns())
    return f"{_last:016x}"
