"""The engine `sqlite:`: opened for a URL, entered once."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio import to_thread

from . import messages, records
from .place import place_of, prepare
from .queue import SqliteQueue
from .request import Request
from .state import SqliteState
from .stream import SqliteStream
from .transaction import partitions_of
from .writer import Writer

if TYPE_CHECKING:
    from fnframe.engine.protocol import EngineOptions


class SqliteEngine:
    """Queues, streams and state in the file that the URL names. Any number of processes of one machine may share it.

    Raises `ConfigurationError` for a URL that is wrong; entering it does so for a file that cannot be used, and says
    why. What is asked of it later raises `EngineFailed` when the file cannot be read or written any more.
    """

    durable = shared = True

    def __init__(self, url: str, options: EngineOptions) -> None:
        self._options = options
        self._place = place_of(url, options.directory)
        self._writer = Writer(self._place, options)

    async def __aenter__(self) -> Self:
        await to_thread.run_sync(self._open)
        self._writer.start()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._writer.keep_time)
        self._tasks.start_soon(self._writer.watch)
        try:
            await self._writer.ask(Request(records.know_partitions, writes=False))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await self._writer.close()

    def queue(self, name: str) -> SqliteQueue:
        """The queue of this name; it comes into being with its first message."""
        return SqliteQueue(name, self._writer)

    def stream(self, name: str) -> SqliteStream:
        """The stream of this name; it comes into being with its first record or consumer."""
        self._writer.partitions.setdefault(name, partitions_of(name, self._options))
        return SqliteStream(name, self._writer)

    def state(self, name: str) -> SqliteState:
        """The state of this name."""
        return SqliteState(name, self._writer)

    async def queues(self) -> list[str]:
        """Names of the queues that hold messages or dead letters. Raises `EngineFailed`."""
        return await self._writer.ask(Request(messages.queues, writes=False))

    async def streams(self) -> list[str]:
        """Names of the streams that hold records. Raises `EngineFailed`."""
        return await self._writer.ask(Request(records.streams, writes=False))

    def _open(self) -> None:
        prepare(self._place)
        self._writer.open()
