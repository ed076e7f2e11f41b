"""The engine `memory:`: queues and state of one process, kept in a file from one clean run to the next if asked."""

from __future__ import annotations

import heapq
import itertools
import os
from collections import OrderedDict, deque
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import msgspec

from ..clock import Clock, SystemClock
from ..errors import ConfigurationError, QueueFull
from .protocol import Message, QueueStatistics

if TYPE_CHECKING:
    from ..outcome import Report

DUPLICATE_WINDOW = 3600.0
"""Seconds for which the id of an accepted message is remembered."""


class _Saved(msgspec.Struct):
    queues: dict[str, list[Message]]
    states: dict[str, dict[str, bytes]]


class MemoryEngine:
    """Queues and state in this process. What waits is lost with it, unless `state_file` keeps it.

    With `state_file`, a clean end writes everything there at once and the next start reads it; after a crash the file
    is the one of the last clean end, so what came since is delivered again by triggers that can.
    """

    def __init__(self, *, bound: int = 100_000, clock: Clock | None = None, state_file: Path | None = None) -> None:
        self._bound = bound
        self._clock = clock or SystemClock()
        self._state_file = state_file
        self._queues: dict[str, MemoryQueue] = {}
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
            self._queues[name] = MemoryQueue(name, self._bound, self._clock)
        return self._queues[name]

    def state(self, name: str) -> MemoryState:
        return self._states.setdefault(name, MemoryState({}))

    async def queues(self) -> list[str]:
        return [name for name, queue in self._queues.items() if (await queue.statistics()).total]


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


class MemoryQueue:
    """A queue in this process."""

    def __init__(self, name: str, bound: int, clock: Clock) -> None:
        self.name = name
        self._bound = bound
        self._clock = clock
        self._waiting: deque[Message] = deque()
        self._delayed: list[tuple[float, int, Message]] = []
        self._order = itertools.count()
        self._leased: dict[MemoryLease, float] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._arrived = anyio.Event()

    async def send(self, id: str, body: bytes, *, delay: float = 0.0) -> bool:  # noqa: A002
        now = self._clock.monotonic()
        while self._seen and next(iter(self._seen.values())) < now - DUPLICATE_WINDOW:
            self._seen.popitem(last=False)
        if id in self._seen:
            return False
        if len(self._waiting) + len(self._delayed) + len(self._leased) >= self._bound:
            raise QueueFull(self.name, self._bound)
        self._seen[id] = now
        self._put(Message(id, body, self._clock.time()), delay)
        return True

    async def receive(self, most: int, seconds: float) -> list[MemoryLease]:
        while True:
            now = self._clock.monotonic()
            self._bring_due(now)
            if self._waiting:
                messages = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                leases = [MemoryLease(self, message) for message in messages]
                self._leased.update(dict.fromkeys(leases, now + seconds))
                return leases
            if self._arrived.is_set():  # Others may wait for the one that is there.
                self._arrived = anyio.Event()
            await self._clock.wait(self._arrived, self._next_due(now))

    async def statistics(self) -> QueueStatistics:
        return QueueStatistics(len(self._waiting), len(self._delayed), len(self._leased))

    def messages(self) -> list[Message]:
        """All that is not done, for the state file."""
        leased = [lease.message for lease in self._leased]
        return [*leased, *self._waiting, *(message for _, _, message in sorted(self._delayed))]

    def restore(self, messages: list[Message]) -> None:
        self._waiting.extend(messages)
        self._seen.update(dict.fromkeys((message.id for message in messages), self._clock.monotonic()))

    def settle(self, lease: MemoryLease, again: Message | None, delay: float) -> None:
        """End a lease; `again` comes back after `delay` seconds. A lease that ran out is not the holder's any more."""
        if self._leased.pop(lease, None) is not None and again is not None:
            self._put(again, delay)

    def extend(self, lease: MemoryLease, seconds: float) -> None:
        if lease in self._leased:
            self._leased[lease] = self._clock.monotonic() + seconds

    def _put(self, message: Message, delay: float) -> None:
        if delay > 0:
            heapq.heappush(self._delayed, (self._clock.monotonic() + delay, next(self._order), message))
        else:
            self._waiting.append(message)
        self._arrived.set()

    def _bring_due(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            self._waiting.append(heapq.heappop(self._delayed)[2])
        for lease, end in list(self._leased.items()):
            if end <= now:
                del self._leased[lease]
                self._waiting.append(lease.message)

    def _next_due(self, now: float) -> float:
        moments = [self._delayed[0][0]] if self._delayed else []
        return min([*moments, *self._leased.values()], default=now + 3600.0)


class MemoryLease:
    """A message of a `MemoryQueue`, lent."""

    def __init__(self, queue: MemoryQueue, message: Message) -> None:
        self.message = message
        self._queue = queue

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.settle(self, self.message, 0.0)

    async def ack(self, report: Report | None = None) -> None:
        self._queue.settle(self, None, 0.0)

    async def release(self, delay: float, *, counted: bool) -> None:
        again = msgspec.structs.replace(self.message, attempt=self.message.attempt + counted)
        self._queue.settle(self, again, delay)

    async def extend(self, seconds: float) -> None:
        self._queue.extend(self, seconds)
