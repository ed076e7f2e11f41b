"""The engine `memory:`: queues, streams and state of one process."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..errors import ConfigurationError
from .memory_queue import MemoryQueue
from .memory_stream import MemoryStream, Retention
from .protocol import REPORTS, EngineOptions, record_of

if TYPE_CHECKING:
    from ..outcome import Report

KEPT_RECORDS = 100_000
KEPT_REPORTS = 10_000
"""So many are kept unless more are asked for: memory is no archive."""


def memory_engine(url: str, options: EngineOptions) -> MemoryEngine:
    """What makes a memory engine of its URL, which says nothing more. Raises `ConfigurationError`."""
    if url != "memory:":
        raise ConfigurationError(f"the engine in memory has the URL 'memory:', found {url!r}")
    return MemoryEngine(options)


class MemoryEngine:
    """Queues, streams and state in this process, and gone with it."""

    durable = shared = False

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._queues: dict[str, MemoryQueue] = {}
        self._streams: dict[str, MemoryStream] = {}
        self._states: dict[str, MemoryState] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def queue(self, name: str) -> MemoryQueue:
        if name not in self._queues:
            self._queues[name] = MemoryQueue(name, self._options.queue_bound, self._options.clock, self._keep)
        return self._queues[name]

    def stream(self, name: str) -> MemoryStream:
        if name not in self._streams:
            options = self._options
            partitions, keep = options.stream_partitions, options.stream_records or KEPT_RECORDS
            if name == REPORTS:
                partitions, keep = 1, KEPT_REPORTS
            retention = Retention(options.stream_retention, keep)
            self._streams[name] = MemoryStream(name, partitions, retention, options.clock, self._keep)
        return self._streams[name]

    def state(self, name: str) -> MemoryState:
        return self._states.setdefault(name, MemoryState())

    async def queues(self) -> list[str]:
        return [name for name, queue in self._queues.items() if queue.holds_messages()]

    async def streams(self) -> list[str]:
        return [name for name, stream in self._streams.items() if stream.holds_records()]

    def _keep(self, report: Report | None) -> None:
        """Keep a report with what it settles: nothing can come between."""
        if report is not None:
            self.stream(REPORTS).append([record_of(report)])


class MemoryState:
    """Named values in this process."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.values[key] = value

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> bool:
        if self.values.get(key) != expected:
            return False
        self.values[key] = value
        return True

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)

    async def items(self, prefix: str = "") -> list[tuple[str, bytes]]:
        return sorted(item for item in self.values.items() if item[0].startswith(prefix))
