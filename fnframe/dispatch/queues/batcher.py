"""Messages that were received, until a batch of them begins."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Lease

    Entry = tuple[float, Lease]
    """When it came, and the lease."""

OVERHEAD = 160
"""Bytes that a record takes in an event beside its data: its id, its moment, its key."""


class Group:
    """The messages of one group that wait here. While a batch with some of it runs, the others are not to be had."""

    __slots__ = ("entries", "is_running", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: deque[Entry] = deque()
        self.is_running = False


class Batcher:
    """A crew's supply of batches.

    A batch has up to `size` messages and `largest` bytes. It can be taken when it is full, or when its first message
    has waited for `window` seconds. A message of which `alone` says so is a batch of its own.
    """

    def __init__(
        self,
        clock: Clock,
        size: int = 1,
        window: float = 0.0,
        largest: float = math.inf,
        alone: Callable[[Lease], bool] = lambda lease: False,
    ) -> None:
        self._clock = clock
        self._size = size
        self.window = window
        self._largest = largest
        self._alone = alone
        self._ready: deque[Entry | Group] = deque()
        self._groups: dict[str, Group] = {}
        self.waiting = 0
        """How many messages wait."""
        self._blocked = 0
        """How many of them wait behind a running batch of their group."""
        self._bytes = 0

    def add(self, leases: Iterable[Lease]) -> None:
        """Take messages, in the order in which they were received."""
        now = self._clock.monotonic()
        for lease in leases:
            self.waiting += 1
            self._bytes += size_of(lease)
            name = lease.message.group
            if name is None:
                self._ready.append((now, lease))
                continue
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = Group(name)
                self._ready.append(group)
            group.entries.append((now, lease))
            self._blocked += group.is_running

    @property
    def ready(self) -> int:
        """How many messages wait for nothing but a batch."""
        return self.waiting - self._blocked

    def __bool__(self) -> bool:
        """Whether a batch can be taken now."""
        if not self._ready:
            return False
        return self.window == 0 or self._is_full() or self.next_due() <= self._clock.monotonic()

    def next_due(self) -> float:
        """When the batch that is not full yet will have waited long enough; infinity if there is none."""
        return self._head()[0] + self.window if self._ready else math.inf

    def take(self) -> list[Lease]:
        """The next batch."""
        batch: list[Lease] = []
        room = self._largest
        while self._ready and len(batch) < self._size:
            entries = self._entries()
            room = self._fill(batch, entries, room)
            if entries:  # It is full, or the next one is to be alone.
                break
        self.waiting -= len(batch)
        return batch

    def done(self, batch: Iterable[Lease], failed: Collection[str] = ()) -> list[Lease]:
        """A batch has ended: what waited behind it can be had, but for the groups that failed, whose messages are
        returned, to be given back: they come again behind those that failed."""
        returned: list[Lease] = []
        for name in dict.fromkeys(lease.message.group for lease in batch if lease.message.group is not None):
            group = self._groups[name]
            group.is_running = False
            self._blocked -= len(group.entries)
            if group.entries and name not in failed:
                self._ready.appendleft(group)
                continue
            del self._groups[name]
            returned += self._drop(group.entries)
        return returned

    def clear(self) -> list[Lease]:
        """Everything that waits, to be given back."""
        entries = [entry for entry in self._ready if not isinstance(entry, Group)]
        self._ready.clear()
        returned = self._drop(entries)
        for group in self._groups.values():
            returned += self._drop(group.entries)
            group.entries.clear()
        self._blocked = 0
        return returned

    def _drop(self, entries: Collection[Entry]) -> list[Lease]:
        leases = [lease for _, lease in entries]
        self.waiting -= len(leases)
        self._bytes -= sum(map(size_of, leases))
        return leases

    def _head(self) -> Entry:
        first = self._ready[0]
        return first.entries[0] if isinstance(first, Group) else first

    def _is_full(self) -> bool:
        return self.ready >= self._size or self._bytes >= self._largest or self._alone(self._head()[1])

    def _entries(self) -> deque[Entry]:
        """What is first in line: a message, or all of a group that wait."""
        first = self._ready[0]
        return first.entries if isinstance(first, Group) else deque((first,))

    def _fill(self, batch: list[Lease], entries: deque[Entry], room: float) -> float:
        """Move to the batch what fits of what is first in line; the bytes that are left then."""
        taken = 0
        while entries and len(batch) < self._size:
            lease = entries[0][1]
            size = size_of(lease)
            if batch and (size > room or self._alone(lease) or self._alone(batch[0])):
                break
            entries.popleft()
            batch.append(lease)
            room -= size
            self._bytes -= size
            taken += 1
        if taken:
            first = self._ready.popleft()
            if isinstance(first, Group):
                first.is_running = True
                self._blocked += len(first.entries)
        return room


def size_of(lease: Lease) -> int:
    """Bytes that a message takes in an event."""
    return len(lease.message.body) + OVERHEAD
