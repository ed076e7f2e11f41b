"""Schedules that come and go while the app runs: `running.cron`."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from fnframe import ConfigurationError, EngineFailed, FunctionNotFound, PayloadTooLarge
from fnframe.event import encode_json, new_id

from .agenda import Agenda
from .entry import Entry
from .progress import Ledger
from .trigger import Cron

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping
    from fnframe.lifespan import RunningApp, Services

log = logging.getLogger("fnframe.cron")

REFRESH = 10.0
"""Seconds after which what other processes added is known here."""
SLICE = 100


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that was added: when its function is called, and with what."""

    name: str
    function: str
    cron: Cron
    data: Any = None
    added: dt.datetime
    """When: no instant before counts."""


class _Stored(msgspec.Struct, frozen=True):
    """A schedule as the engine's state keeps it. One that is replaced, or comes again, has another `revision`."""

    revision: str
    function: str
    cron: Cron
    data: msgspec.Raw
    added: int


class _Revision(msgspec.Struct):
    revision: str


_decode = msgspec.json.Decoder(_Stored).decode
_decode_revision = msgspec.json.Decoder(_Revision).decode

PREFIX = "schedule:"
VERSION = "version"
"""A key whose value changes with each schedule that is added."""


class Schedules:
    """The schedules that were added to an app, kept in its engine: as durable as that, and known to all its processes.

    They fire where the app serves its triggers. Another process knows of a new one after ten seconds at the latest,
    and fires none that was removed.
    """

    def __init__(self, running: RunningApp) -> None:
        self._running = running
        self._state = running.state("cron")
        self._agenda = Agenda(running.clock)
        self._entries: dict[str, _Added] = {}
        self._mappings: dict[str, Mapping] = {}
        self._version: bytes | None = None
        self._changing = anyio.Lock()
        self._serves = False

    async def add(
        self, name: str, function: str, schedule: Cron | str, data: Any = None, *, replace: bool = False
    ) -> None:
        """Let `function` be called at the times of a `Cron`, or of an expression in UTC, with ticks that carry `data`.

        Returns when the engine has it. To add what is there already changes nothing. Raises `ConfigurationError` for an
        expression that is wrong or has no time left, and, unless `replace`, for a name that is taken by something
        else; `FunctionNotFound`; and `PayloadTooLarge` for more data than an asynchronous event may have. One that has
        no time left is removed by itself.
        """
        cron = schedule if isinstance(schedule, Cron) else Cron(schedule)
        stored = self._checked(name, function, cron, encode_json(data))
        key = PREFIX + name
        async with self._changing:
            value = encode_json(stored)
            if not await self._state.compare_and_set(key, None, value):
                there = await self._stored(name)
                if there is not None and _is_same(there, stored):
                    return
                if not replace:
                    raise ConfigurationError(
                        f"a schedule {name!r} is there already, which is another: remove it first, or give replace=True"
                    )
                await self._state.put(key, value)
                if there is not None:
                    await self._state.delete(_progress_key(there.revision))
            # Others look for what is new; that something is gone they find when they would fire it.
            self._version = new_id().encode()
            await self._state.put(VERSION, self._version)
            self._use(name, stored)

    async def remove(self, name: str) -> bool:
        """Let it fire no more; whether there was one of this name."""
        async with self._changing:
            stored = await self._stored(name)
            if stored is not None:
                await self._forget(name, stored.revision)
                self._drop(name)
            return stored is not None

    async def all(self) -> list[Schedule]:
        """All schedules that were added, by name."""
        return [
            Schedule(
                name=key.removeprefix(PREFIX),
                function=stored.function,
                cron=stored.cron,
                data=msgspec.json.decode(stored.data),
                added=dt.datetime.fromtimestamp(stored.added, dt.UTC),
            )
            for key, value in await self._state.items(PREFIX)
            if (stored := _decode(value))
        ]

    async def run(self, *, task_status: TaskStatus[Any]) -> None:
        """Fire them until cancelled."""
        self._serves = True
        self._version = None
        task_status.started()
        clock = self._running.clock
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._agenda.run)
            while True:
                try:
                    await self._refresh()
                except EngineFailed as error:
                    log.warning("what was added by others is not known now, and looked for again: %s", error)
                if self._version is not None and not self._running.shared:
                    break
                await clock.wait(anyio.Event(), clock.monotonic() + REFRESH)

    async def has(self, name: str, revision: str) -> bool:
        """Whether a schedule is there still, whoever may have removed it."""
        if not self._running.shared:
            return name in self._entries and self._entries[name].revision == revision
        value = await self._state.get(PREFIX + name)
        return value is not None and _decode_revision(value).revision == revision

    async def let_go(self, name: str, revision: str) -> None:
        """Forget a schedule that has no time left, or that somebody removed."""
        async with self._changing:
            if await self.has(name, revision):
                await self._forget(name, revision)
            known = self._entries.get(name)
            if known is not None and known.revision == revision:
                self._drop(name)

    def _checked(self, name: str, function: str, cron: Cron, data: bytes) -> _Stored:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise ConfigurationError(f"the name of a schedule must be a printable text, found {name!r}")
        manifest = self._running.manifest
        known = [each.name for each in manifest.functions]
        if function not in known:
            raise FunctionNotFound(function, known)
        if len(data) > manifest.limits.asynchronous_payload:
            raise PayloadTooLarge(function, len(data), manifest.limits.asynchronous_payload)
        from .moments import moments

        now = int(self._running.clock.time())
        if moments(cron.expression, cron.tz).next(now) is None:
            raise ConfigurationError(f"{cron.describe()} has no time left: it would never fire")
        return _Stored(new_id(), function, cron, msgspec.Raw(data), now)

    async def _stored(self, name: str) -> _Stored | None:
        value = await self._state.get(PREFIX + name)
        return None if value is None else _decode(value)

    async def _forget(self, name: str, revision: str) -> None:
        await self._state.delete(PREFIX + name)
        await self._state.delete(_progress_key(revision))

    async def _refresh(self) -> None:
        """Know what is stored, where something was added since."""
        version = await self._state.get(VERSION) or b""
        if version == self._version:
            return
        async with self._changing:
            stored = {key.removeprefix(PREFIX): value for key, value in await self._state.items(PREFIX)}
            for name in self._entries.keys() - stored.keys():
                self._drop(name)
            for number, (name, value) in enumerate(stored.items(), 1):
                known = self._entries.get(name)
                if known is None or known.revision != _decode_revision(value).revision:
                    self._use(name, _decode(value))
                if number % SLICE == 0:
                    await checkpoint()
            self._version = version

    def _use(self, name: str, stored: _Stored) -> None:
        """Plan a schedule, where they are served here."""
        if self._serves:
            self._drop(name)
            ledger = Ledger(self._state, _progress_key(stored.revision))
            self._entries[name] = entry = _Added(self, name, stored, self._mapping(stored), ledger)
            self._agenda.add(entry)

    def _drop(self, name: str) -> None:
        if name in self._entries:
            self._agenda.remove(self._entries.pop(name))

    def _mapping(self, stored: _Stored) -> Mapping:
        if stored.cron.filter is not None:
            return self._running.mapping(stored.function, stored.cron)
        if stored.function not in self._mappings:
            self._mappings[stored.function] = self._running.mapping(stored.function, stored.cron)
        return self._mappings[stored.function]


class _Added(Entry):
    """A schedule that was added, at work."""

    __slots__ = ("_schedules", "revision")

    def __init__(self, schedules: Schedules, name: str, stored: _Stored, mapping: Mapping, ledger: Ledger) -> None:
        super().__init__(
            stored.cron,
            stored.function,
            mapping,
            ledger,
            title=name,
            identity=f"{name}\n{stored.revision}",
            since=stored.added,
            data=stored.data,
        )
        self.revision = stored.revision
        self._schedules = schedules

    async def is_valid(self) -> bool:
        return await self._schedules.has(self.title, self.revision)

    async def ended(self) -> None:
        await self._schedules.let_go(self.title, self.revision)


def _progress_key(revision: str) -> str:
    return f"progress:{revision}"


def _is_same(one: _Stored, other: _Stored) -> bool:
    return (one.function, one.cron, bytes(one.data)) == (other.function, other.cron, bytes(other.data))


@asynccontextmanager
async def lifespan(running: RunningApp) -> AsyncIterator[Services]:
    """Offers `running.cron`."""
    schedules = Schedules(running)
    running.run_with_triggers(schedules.run)
    yield {"cron": schedules}
