"""The engine `memory:`: queues, streams and state of one process.

Queues and state are kept in a file from one clean run to the next if asked.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from ..errors import ConfigurationError
from .memory_queue import MemoryQueue
from .memory_stream import MemoryStream, Retention
from .protocol import REPORTS, EngineOptions, Message, record_of

if TYPE_CHECKING:
    from ..outcome import Report

KEPT_RECORDS = 100_000
KEPT_REPORTS = 10_000
"""So many are kept unless more are asked for: memory is no archive."""


class _Saved(msgspec.Struct):
    queues: dict[str, list[Message]]
    states: dict[str, dict[str, bytes]]


class MemoryEngine:
    """Queues, streams and state in this process. What waits is lost with it, unless `state_file` keeps it.

    With `state_file`, a clean end writes queues and state there at once and the next start reads it; after a crash the
    file is the one of the last clean end, so what came since is delivered again by triggers that can.
    """

    durable = shared = False

    def __init__(self, options: EngineOptions, *, state_file: Path | None = None) -> None:
        self._options = options
        self._state_file = state_file
        self._queues: dict[str, MemoryQueue] = {}
        self._streams: dict[str, MemoryStream] = {}
        self._states: dict[str, MemoryState] = {}

    async def __aenter__(self) -> Self:
        if self._state_file is not None and self._state_file.exists():
            try:
                saved = msgspec.msgpack.decode(self._state_file.read_bytes(), type=_Saved)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ConfigurationError(
                    f"not a state file of this release ({error}); remove it to begin anew: everything that lies in "
                    "watched folders is then delivered again",
                    where=str(self._state_file),
                ) from None
            except OSError as error:
                raise ConfigurationError(
                    f"what was handled before cannot be read ({error.strerror})", where=str(self._state_file)
                ) from None
            for name, values in saved.states.items():
                self._states[name] = MemoryState(values)
            for name, messages in saved.queues.items():
                self.queue(name).restore(messages)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state_file is None:
            return
        queues = {name: messages for name, queue in self._queues.items() if (messages := queue.messages())}
        saved = _Saved(queues, {name: state.values for name, state in self._states.items()})
        part = self._state_file.with_name(f"{self._state_file.name}.{os.getpid()}.part")
        try:
            self._state_file.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.msgpack.encode(saved))
            part.replace(self._state_file)
        except OSError as problem:
            with suppress(OSError):
                part.unlink()
            raise ConfigurationError(
                f"what was handled could not be remembered ({problem.strerror}): the next run will handle it again",
                where=str(self._state_file),
            ) from None

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
        return self._states.setdefault(name, MemoryState({}))

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

    def __init__(self, values: dict[str, bytes]) -> None:
        self.values = values

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
