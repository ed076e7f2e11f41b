"""What one mapping has delivered and has still to deliver."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from fnframe import EngineFailed, Event, FunctionNotFound, PayloadTooLarge, QueueFull, RecursionStopped

from .bucket import Bucket
from .mounts import mount_of, remote_mount
from .names import key_of, name_of
from .objects import ObjectCreated, ObjectRemoved
from .pattern import Selection
from .version import Version

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from fnframe import Mapping

    from .notes import Note
    from .trigger import Files, FilesSettings

log = logging.getLogger("fnframe.files")

AT_ONCE = 64
"""Steps between which others in the event loop run, and events that are on their way to the engine together."""
_REMOVED = ""
"""No object's key; here the state keeps a moment that is later than the last change of all that was removed."""
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
        self.mount = mount_of(self.root)
        self.remote = remote_mount(self.root)
        """What makes others write to the folder of whom this machine's system does not know, if anything does."""
        self._mapping = mapping
        self._source = f"files:{quote(trigger.bucket)}"
        self._selection = Selection(trigger.pattern, trigger.ignore)
        self._todo: dict[str, tuple[Version | None, Note | None]] = {}
        self._removed = 0
        self._in_trouble = False
        self._arrived = anyio.Event()
        self._idle = anyio.Event()

    def __repr__(self) -> str:
        return f"<Ledger {self.root}: {len(self.known)} delivered, {len(self._todo)} to do>"

    async def load(self) -> None:
        """Read what was delivered before."""
        items = dict(await self._mapping.state.items())
        self._removed = int(items.pop(_REMOVED, b"0"))
        self.known = {key: _read_version(value) for key, value in items.items()}

    def enters(self, prefix: str, name: str) -> bool:
        """Whether objects may lie in the directory `name`; `prefix` is what the keys in the one above begin with."""
        return self.trigger.recursive and not self._selection.ignores(prefix, name)

    def takes(self, prefix: str, name: str) -> bool:
        return self._selection.takes(prefix, name)

    def holds(self, path: str) -> bool:
        """Whether a file there would be one of the objects."""
        if not path.startswith(f"{self.root}/"):
            return False
        prefix = ""
        *folders, name = key_of(path[len(self.root) + 1 :]).split("/")
        for folder in folders:
            if not self.enters(prefix, folder):
                return False
            prefix += f"{folder}/"
        return self.takes(prefix, name)

    def path_of(self, key: str) -> str:
        return f"{self.root}/{name_of(key)}"

    def all_keys(self) -> list[str]:
        """The keys of all objects that were delivered or will be; for a thread, too."""
        return [*list(self.known), *list(self._todo)]

    def has(self, key: str, version: Version) -> bool:
        """Whether a scan that sees this version sees nothing new."""
        before = self.known.get(key)
        return before is not None and (version.is_same(before) or version.is_stamped(before))

    def found(self, key: str, version: Version | None, note: Note | None) -> None:
        """Take note of a complete version, and of who wrote it, or that the object is gone."""
        self._todo[key] = version, note
        self._arrived.set()

    async def deliver(self) -> None:
        """Deliver what is found until cancelled."""
        while True:
            if not self._todo:
                self._idle.set()
                await self._arrived.wait()
                self._idle = anyio.Event()
            self._arrived = anyio.Event()
            keys = deque(self._todo)
            if len(keys) == 1:
                await self._work(keys)
            else:
                async with anyio.create_task_group() as tasks:
                    await self._work(keys, tasks, AT_ONCE)

    async def drained(self) -> None:
        """Wait until all that was found is delivered."""
        while self._todo or not self._idle.is_set():
            await self._idle.wait()

    async def _work(self, keys: deque[str], tasks: TaskGroup | None = None, hands: int = 1) -> None:
        """Deliver of these keys, until none is left; by other hands too, while the engine lets one wait.

        An engine that writes to a disk takes in one go what comes together. Each key is there once only, so its events
        keep their order.
        """
        if tasks is not None and hands > 1 and keys:
            tasks.start_soon(self._work, keys, tasks, hands - 1)
        number = 0
        while keys:
            key = keys.popleft()
            await self._settle(key, *self._todo.pop(key))
            number += 1
            if number % AT_ONCE == 0:
                await checkpoint()

    async def _settle(self, key: str, version: Version | None, note: Note | None) -> None:
        before = self.known.get(key)
        if version is None:
            if before is not None:
                await self._remove(key, before)
        elif before is None or not version.is_same(before):
            await self._create(key, version, note)

    async def _create(self, key: str, version: Version, note: Note | None) -> None:
        moment = _moment(version)
        # A directory that was moved away and back brings versions that were delivered and removed before: they are as
        # new as the removal, or their events would be taken for repeated ones.
        version = version._replace(changed=max(version.changed, self._removed))
        self.known[key] = version
        is_own = note is not None and note.function == self._mapping.function.name
        if "created" in self.trigger.events and not is_own:
            await self._enqueue(ObjectCreated, key, version, moment, note.depth + 1 if note is not None else 0)
        await self._have_done(partial(self._mapping.state.put, key, _encode(version)))

    async def _remove(self, key: str, before: Version) -> None:
        del self.known[key]
        if "removed" in self.trigger.events:
            await self._enqueue(ObjectRemoved, key, before, dt.datetime.now(dt.UTC), 0)
        if before.changed >= self._removed:
            self._removed = before.changed + 1
            await self._have_done(partial(self._mapping.state.put, _REMOVED, str(self._removed).encode()))
        await self._have_done(partial(self._mapping.state.delete, key))

    async def _enqueue(
        self, kind: type[ObjectCreated | ObjectRemoved], key: str, version: Version, moment: dt.datetime, depth: int
    ) -> None:
        event = self._event(kind, key, version, moment, depth)
        try:
            await self._have_done(partial(self._mapping.enqueue, event))
        except (PayloadTooLarge, RecursionStopped) as refusal:
            # What somebody names or writes a file must not end the app.
            log.error("%r is not delivered: %s", key, refusal)  # noqa: TRY400
        else:
            self.delivered += 1

    async def _have_done(self, call: Callable[[], Awaitable[object]]) -> None:
        """Ask the engine until it does it: a full queue becomes empty, a full disk gets space, a lock is let go."""
        delay = 0.05
        while True:
            try:
                await call()
            except (QueueFull, FunctionNotFound) as reason:  # A reload takes the function away before its triggers.
                log.debug("Files(%r) waits: %s", self.trigger.bucket, reason)
            except EngineFailed as error:
                if not self._in_trouble:
                    told = "Files(%r): what is found waits, and is tried again each second: %s"
                    log.warning(told, self.trigger.bucket, error)
                self._in_trouble = True
            else:
                self._in_trouble = False
                return
            await anyio.sleep(delay)
            delay = min(2 * delay, 1.0)

    def _event(
        self, kind: type[ObjectCreated | ObjectRemoved], key: str, version: Version, moment: dt.datetime, depth: int
    ) -> Event:
        bucket, function, etag = self.trigger.bucket, self._mapping.function.name, version.etag()
        data = kind(
            bucket=Bucket(bucket, self.root, function, depth),
            key=key,
            size=version.size,
            etag=etag,
            sequencer=_next_sequencer(),
            time=moment,
        )
        # `changed` tells what was moved away and back from an event that is repeated.
        identity = f"{kind.__name__}/{function}/{version.changed:x}/{etag}/{bucket}/{key}"
        return Event(
            id=blake2b(identity.encode(), digest_size=16).hexdigest(),
            source=self._source,
            type=f"fnframe.files.{kind.__name__}",
            subject=key,
            time=moment,
            data=_encode(data),
            depth=depth,
        )


def _moment(version: Version) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(version.changed / 1e9, dt.UTC)
    except (ValueError, OverflowError):  # Another machine's file system may say anything.
        return dt.datetime.now(dt.UTC)


_last = 0


def _next_sequencer() -> str:
    global _last
    _last = max(_last + 1, time.time_ns())
    return f"{_last:016x}"
