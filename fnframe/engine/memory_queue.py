"""A queue of the engine `memory:`."""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from itertools import count, islice
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from msgspec.structs import replace

from ..errors import QueueFull
from .agenda import Agenda
from .protocol import DUPLICATE_WINDOW, DeadLetter, Lease, Message, QueueStatistics

if TYPE_CHECKING:
    from ..clock import Clock
    from ..outcome import Report


class Held:
    """A message that is not settled: it waits, is delayed or is lent. `place` is its turn within its group."""

    __slots__ = ("group", "message", "place")

    def __init__(self, message: Message, place: int, group: Group | None) -> None:
        self.message = message
        self.place = place
        self.group = group


class Group:
    """The messages of one group: those that are not lent, in their order, and how many are."""

    __slots__ = ("lent", "name", "offered", "queue")

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: list[tuple[int, Held]] = []
        self.lent = 0
        self.offered = False
        """Whether it stands among what can be had."""


class MemoryQueue:
    """A queue in this process. `keep` takes the reports that come with a settlement."""

    def __init__(self, name: str, bound: int, clock: Clock, keep: Callable[[Report | None], None]) -> None:
        self.name = name
        self._bound = bound
        self._clock = clock
        self._keep = keep
        self._places = count()
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._ready: deque[Held | Group] = deque()
        self._groups: dict[str, Group] = {}
        self._delayed: Agenda[Held] = Agenda()
        self._lent: Agenda[MemoryLease] = Agenda()
        self._dead: dict[str, DeadLetter] = {}
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._receivers: deque[Receiver] = deque()

    async def send(self, messages: Sequence[Message], *, delay: float = 0.0) -> list[bool]:
        self._forget_ids()
        new: dict[str, Message] = {}
        accepted = []
        for message in messages:
            is_new = message.id not in self._held and message.id not in self._seen and message.id not in new
            accepted.append(is_new)
            if is_new:
                new[message.id] = message
        self._accept(new.values(), delay)
        return accepted

    async def receive(self, most: int, seconds: float, *, wait: float = math.inf) -> list[MemoryLease]:
        if not self._receivers and (leases := self._take(most, seconds)):
            return leases
        receiver = Receiver()
        self._receivers.append(receiver)
        end = self._clock.monotonic() + wait
        try:
            while True:
                first = self._receivers[0] is receiver
                if first and (leases := self._take(most, seconds)):
                    return leases
                now = self._clock.monotonic()
                if now >= end:
                    return []
                receiver.called = anyio.Event()
                # The first in line looks after delays and leases that end; whoever leaves calls the next.
                await self._clock.wait(receiver.called, min(end, self._next_due()) if first else end)
        finally:
            self._receivers.remove(receiver)
            self._call()

    async def ack(self, leases: Sequence[Lease], report: Report | None = None) -> None:
        ended = [held for lease in leases if (held := self._end(lease)) is not None]
        for held in ended:
            self._forget(held)
        if ended:
            self._keep(report)

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[bool]:
        now = self._clock.monotonic()
        self._turn(now)
        before = self._lent.next()
        held = {lease for lease in leases if isinstance(lease, MemoryLease) and lease in self._lent}
        for lease in held:
            self._lent.set(lease, now + seconds)
        if self._lent.next() < before:
            self._call()
        return [lease in held for lease in leases]

    async def holds(self, id: str) -> bool:  # noqa: A002
        return id in self._held

    async def statistics(self) -> QueueStatistics:
        self._turn(self._clock.monotonic())
        delayed, leased = len(self._delayed), len(self._lent)
        oldest = next(iter(self._held.values())).message.accepted if self._held else None
        return QueueStatistics(len(self._held) - delayed - leased, delayed, leased, len(self._dead), oldest)

    async def dead_letters(self, most: int = 100, *, after: str = "") -> list[DeadLetter]:
        begin = next((place for place, id_ in enumerate(self._dead, 1) if id_ == after), 0)
        return list(islice(self._dead.values(), begin, begin + most))

    async def redrive(self, ids: Sequence[str]) -> int:
        again = [id_ for id_ in dict.fromkeys(ids) if id_ in self._dead and id_ not in self._held]
        self._accept([self._dead[id_].message for id_ in again], 0.0)
        for id_ in again:
            del self._dead[id_]
        return len(again)

    async def purge(self, ids: Sequence[str]) -> int:
        return sum(self._dead.pop(id_, None) is not None for id_ in ids)

    def release(self, lease: MemoryLease, again: Message, delay: float, report: Report | None) -> None:
        """End a lease; `again` comes after `delay` seconds, in the place that it has in its group."""
        held = self._end(lease)
        if held is not None:
            self._give_back(held, again, delay)
            self._keep(report)

    def bury(self, lease: MemoryLease, reason: str, error: bytes, report: Report | None) -> None:
        """End a lease; its message goes to the dead letters."""
        held = self._end(lease)
        if held is not None:
            self._forget(held)
            self._dead.pop(held.message.id, None)
            self._dead[held.message.id] = DeadLetter(held.message, self._clock.time(), reason, error)
            self._keep(report)

    def holds_messages(self) -> bool:
        return bool(self._held or self._dead)

    def _accept(self, messages: Collection[Message], delay: float) -> None:
        """Hold new messages, all or none."""
        if messages and len(self._held) + len(messages) > self._bound:
            raise QueueFull(self.name, self._bound)
        accepted = self._clock.time()
        for message in messages:
            self._hold(Message(message.id, message.body, message.group, accepted, fresh=message.fresh), delay)

    def _hold(self, message: Message, delay: float) -> None:
        group = None
        if message.group is not None:
            group = self._groups.get(message.group)
            if group is None:
                group = self._groups[message.group] = Group(message.group)
        if not message.fresh:
            self._seen[message.id] = self._clock.monotonic()
            self._seen.move_to_end(message.id)
        self._held[message.id] = held = Held(message, next(self._places), group)
        self._put(held, delay)

    def _put(self, held: Held, delay: float) -> None:
        """Let it be had after the delay, when it is its turn."""
        if delay > 0:
            self._delayed.set(held, self._clock.monotonic() + delay)
        if held.group is not None:
            heapq.heappush(held.group.queue, (held.place, held))
            self._offer(held.group)
        elif delay <= 0:
            self._ready.append(held)
        self._call()

    def _offer(self, group: Group) -> None:
        """Let the first of a group be had, if it is its turn."""
        if group.offered or group.lent:
            return
        if not group.queue:
            del self._groups[group.name]
        elif group.queue[0][1] not in self._delayed:
            group.offered = True
            self._ready.append(group)
            self._call()

    def _take(self, most: int, seconds: float) -> list[MemoryLease]:
        """Lend what can be had now."""
        now = self._clock.monotonic()
        self._turn(now)
        leases: list[MemoryLease] = []
        while self._ready and len(leases) < most:
            first = self._ready.popleft()
            taken = [first] if isinstance(first, Held) else self._next_of(first, most - len(leases))
            leases += [MemoryLease(self, held) for held in taken]
        for lease in leases:
            self._lent.set(lease, now + seconds)
        return leases

    def _next_of(self, group: Group, most: int) -> list[Held]:
        taken: list[Held] = []
        while group.queue and len(taken) < most and group.queue[0][1] not in self._delayed:
            taken.append(heapq.heappop(group.queue)[1])
        group.offered = False
        group.lent = len(taken)
        return taken

    def _end(self, lease: Lease) -> Held | None:
        """End a lease; what was lent, for the caller to forget or give back, or None if the holder's time is over."""
        self._turn(self._clock.monotonic())
        return lease.held if isinstance(lease, MemoryLease) and self._lent.discard(lease) else None

    def _forget(self, held: Held) -> None:
        """It is settled."""
        del self._held[held.message.id]
        if held.group is not None:
            held.group.lent -= 1
            self._offer(held.group)

    def _give_back(self, held: Held, again: Message, delay: float) -> None:
        held.message = again
        if held.group is not None:
            held.group.lent -= 1
        self._put(held, delay)

    def _turn(self, now: float) -> None:
        """Do what has come: delays and leases that are over."""
        for held in self._delayed.due(now):
            if held.group is not None:
                self._offer(held.group)
            else:
                self._ready.append(held)
        for lease in self._lent.due(now):
            again = replace(lease.message, lost=lease.message.lost + 1)
            self._give_back(lease.held, again, 0.0)

    def _next_due(self) -> float:
        return min(self._delayed.next(), self._lent.next())

    def _forget_ids(self) -> None:
        limit = self._clock.monotonic() - DUPLICATE_WINDOW
        while self._seen and next(iter(self._seen.values())) < limit:
            self._seen.popitem(last=False)

    def _call(self) -> None:
        """Let the first in line look."""
        if self._receivers:
            self._receivers[0].called.set()


class Receiver:
    """One who waits for messages."""

    def __init__(self) -> None:
        self.called = anyio.Event()


class MemoryLease:
    """A message of a `MemoryQueue`, lent."""

    __slots__ = ("held", "message", "queue")

    def __init__(self, queue: MemoryQueue, held: Held) -> None:
        self.queue = queue
        self.held = held
        self.message = held.message

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.queue.release(self, self.message, 0.0, None)

    async def ack(self, report: Report | None = None) -> None:
        await self.queue.ack([self], report)

    async def release(self, delay: float, *, counted: bool, lost: bool = False, report: Report | None = None) -> None:
        message = self.message
        again = replace(message, attempt=message.attempt + counted, lost=message.lost + lost)
        self.queue.release(self, again, delay, report)

    async def bury(self, reason: str, error: bytes = b"null", *, report: Report | None = None) -> None:
        self.queue.bury(self, reason, error, report)

    async def extend(self, seconds: float) -> bool:
        return (await self.queue.extend([self], seconds))[0]
