"""Where the control plane keeps what it remembers: the state of the app's engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..wire import ApiError
from .records import EventSource, Record

if TYPE_CHECKING:
    from fnframe.lifespan import RunningApp

    from ..names import Account

FUNCTION, MAPPING = "function:", "mapping:"


class Overtaken(ApiError):
    """Another process that shares the engine changed a record since it was read; by now it is read again."""

    def __init__(self, arn: str) -> None:
        text = f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        super().__init__(409, "ResourceConflictException", text)


class Store:
    """Functions by name, event source mappings by UUID, and archives by digest.

    All but the archives is in memory too. Where another process that shares the engine has changed a record since it
    was read, it is read again, and the caller has to ask once more.
    """

    def __init__(self, running: RunningApp, account: Account) -> None:
        self._account = account
        self._state = running.state("lambda")
        self._archives = running.state("lambda-code")
        self.functions: dict[str, Record] = {}
        self.mappings: dict[str, EventSource] = {}
        self._known: dict[str, bytes] = {}

    async def load(self) -> None:
        """Read all that is there."""
        for key, value in await self._state.items():
            self._learn(key, value)

    async def save(self, kept: Record | EventSource) -> None:
        """Keep a record in place of what is known of it. Raises `Overtaken`."""
        key = _key(kept)
        value = msgspec.json.encode(kept)
        if not await self._state.compare_and_set(key, self._known.get(key), value):
            await self._read_again(key)
            raise Overtaken(kept.arn(self._account))
        self._learn(key, value)

    async def remove(self, kept: Record | EventSource) -> None:
        """Forget a record."""
        await self._state.delete(_key(kept))
        self._forget(_key(kept))

    async def keep_archive(self, digest: str, archive: bytes) -> None:
        await self._archives.put(digest, archive)

    async def archive(self, digest: str) -> bytes | None:
        return await self._archives.get(digest)

    async def drop_archives(self, digests: set[str]) -> None:
        """Forget those of these archives that no function needs: neither one of this process nor of another that
        shares the engine."""
        if not digests:
            return
        kept = [_record(value) for key, value in await self._state.items() if key.startswith(FUNCTION)]
        needed = {digest for record in (*self.functions.values(), *kept) for digest in record.digests()}
        for digest in digests - needed:
            await self._archives.delete(digest)

    async def _read_again(self, key: str) -> None:
        value = await self._state.get(key)
        if value is None:
            self._forget(key)
        else:
            self._learn(key, value)

    def _learn(self, key: str, value: bytes) -> None:
        self._known[key] = value
        if key.startswith(FUNCTION):
            self.functions[key.removeprefix(FUNCTION)] = _record(value)
        elif key.startswith(MAPPING):
            self.mappings[key.removeprefix(MAPPING)] = msgspec.json.decode(value, type=EventSource)

    def _forget(self, key: str) -> None:
        self._known.pop(key, None)
        self.functions.pop(key.removeprefix(FUNCTION), None)
        self.mappings.pop(key.removeprefix(MAPPING), None)


def _record(value: bytes) -> Record:
    return msgspec.json.decode(value, type=Record)


def _key(kept: Record | EventSource) -> str:
    return f"{FUNCTION}{kept.name}" if isinstance(kept, Record) else f"{MAPPING}{kept.uuid}"
