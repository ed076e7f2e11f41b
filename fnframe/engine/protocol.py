"""Where events wait: what an engine is. Public: a plugin that brings an engine implements these protocols.

Names of queues and streams are any text; those that begin with `fnframe:` are fnframe's own. Times are seconds:
moments since the epoch, spans as they are. Whatever accepts something returns only when the engine keeps it as
durably as it ever will. Every call may be cancelled: then it has happened whole, or not at all.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import msgspec

from ..clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from ..clock import Clock
    from ..outcome import Report
    from ..trigger import State

DUPLICATE_WINDOW = 3600.0
"""Seconds for which the id of what was accepted is remembered, at least."""

REPORTS = "fnframe:reports"
"""The stream, of one partition, that keeps the reports which came with an acknowledgement: each as JSON, under the key
of its function and the id `REQUEST_ID ATTEMPT`. An attempt that was interrupted may be there twice.

A durable engine keeps those of the `REPORTS_KEPT` seconds before the newest, whatever is set for streams: what was not
read when the last process ended is there when the next one begins, however late that is."""

REPORTS_KEPT = 86_400.0


class Message(msgspec.Struct, frozen=True):
    """What a queue keeps.

    `id` is accepted once within the window for duplicates; `fresh` promises that it was made for this message alone, so
    that nobody has to remember it. Of messages with one `group`, the first is lent alone or in one batch with those
    behind it, and none of the others before all that are lent are settled. `accepted` is when the queue accepted it,
    `attempt` the number of this delivery as the function's retries count, from 1, and `lost` how often a delivery ended
    with its environment or its host, and not with a word.
    """

    id: str
    body: bytes
    group: str | None = None
    accepted: float = 0.0
    attempt: int = 1
    lost: int = 0
    fresh: bool = False


class QueueStatistics(NamedTuple):
    """How many messages a queue holds: those that wait, are delayed or leased, and its dead letters.

    `oldest` is in seconds since the epoch; None where nothing is unsettled.
    """

    waiting: int
    delayed: int
    leased: int
    dead: int
    oldest: float | None
    """When the first of those that wait, are delayed or leased was accepted."""

    @property
    def total(self) -> int:
        """What is not settled yet."""
        return self.waiting + self.delayed + self.leased


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that its queue gave up on: when, why, and the error of its last attempt as JSON (Lambda's payload)."""

    message: Message
    died: float
    reason: str
    error: bytes = b"null"


class Lease(Protocol):
    """A message, lent. It ends by one of `ack`, `release` and `bury`; leaving its `async with` block without one gives
    it back as it was. A lease that ran out is not the holder's any more: what settles it then does nothing.

    Each of the three may bring the report of the invocation, which is kept in the same step.
    """

    message: Message

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def ack(self, report: Report | None = None) -> None:
        """The message is done."""

    async def release(self, delay: float, *, counted: bool, lost: bool = False, report: Report | None = None) -> None:
        """Give it back, to come again after `delay` seconds.

        `counted` makes the next delivery another attempt; `lost` counts a delivery that ended with its environment. One
        of a group keeps its place, so what is behind it waits too.
        """

    async def bury(self, reason: str, error: bytes = b"null", *, report: Report | None = None) -> None:
        """Put it to the dead letters of its queue."""

    async def extend(self, seconds: float) -> bool:
        """Keep it for so many seconds from now; False if it is not the holder's any more."""


class Queue(Protocol):
    """Messages, delivered at least once: in the order of acceptance as far as delays and retries allow, and those of
    one group in that order always. A lease that runs out counts its message as lost once more."""

    name: str

    async def send(self, messages: Sequence[Message], *, delay: float = 0.0) -> list[bool]:
        """Accept messages, all or none; for each whether it is new: False if its id was accepted before, within the
        window for duplicates (`DUPLICATE_WINDOW` at least, and as long as the queue holds the message).

        Of a message its id, body, group and `fresh` count. Raises `QueueFull`.
        """

    async def receive(self, most: int, seconds: float, *, wait: float = math.inf) -> Sequence[Lease]:
        """Wait until there are messages, at most `wait` seconds, and lease up to `most` of them for `seconds`.

        Who waits longest is served first, also where the waiting are several processes.
        """

    async def ack(self, leases: Sequence[Lease], report: Report | None = None) -> None:
        """These messages are done: `Lease.ack` of several in one step, with the one report of their invocation."""

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[bool]:
        """`Lease.extend` of several in one step."""

    async def holds(self, id: str) -> bool:  # noqa: A002
        """Whether the message with this id was accepted and is not settled: it waits, is delayed or is leased.

        Of one that was sent as `fresh` an engine need not know.
        """

    async def statistics(self) -> QueueStatistics:
        """Counts of this moment."""

    async def dead_letters(self, most: int = 100, *, after: str = "") -> Sequence[DeadLetter]:
        """The oldest dead letters; those behind the one whose message has the id `after`, to page on.

        A message that dies again under the same id takes the place of the letter that it left.
        """

    async def redrive(self, ids: Sequence[str]) -> int:
        """Let these dead letters begin anew, with their first attempt and age; how many there were.

        One whose id the queue holds again stays where it is. Raises `QueueFull`, and none is moved.
        """

    async def purge(self, ids: Sequence[str]) -> int:
        """Forget these dead letters; how many there were."""


class Record(msgspec.Struct, frozen=True):
    """What a stream keeps. Records of one `key` lie in one partition, in the order of their `position` there, from 1.

    `id`, where it is not empty, is accepted once within the window for duplicates; `accepted` is when.
    """

    key: str
    body: bytes
    id: str = ""
    position: int = 0
    accepted: float = 0.0


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, the same in every process and release."""
    return zlib.crc32(key.encode()) % partitions


def record_of(report: Report) -> Record:
    """What the stream `REPORTS` keeps of a report."""
    return Record(report.function, msgspec.json.encode(report), f"{report.request_id} {report.attempt}")


class Bounds(NamedTuple):
    """The first and the last position that a partition holds; `last` is `first - 1` where it holds none."""

    first: int
    last: int


class Claim(Protocol):
    """A partition of a stream, lent to one consumer of a group."""

    partition: int
    checkpoint: bytes
    """What was committed last, by whomever; empty at first."""

    async def commit(self, checkpoint: bytes, reports: Sequence[Report] = ()) -> bool:
        """Keep the checkpoint, and the reports, in one step; False, and nothing kept, if the partition is not the
        holder's any more."""

    async def extend(self, seconds: float) -> bool:
        """Keep the partition for so many seconds from now; False if it is not the holder's any more."""

    async def release(self) -> None:
        """Let another consumer have it."""


class Stream(Protocol):
    """An ordered log in partitions, which any number of groups read, each at its own pace.

    Records are kept for the stream's retention (a time, and a number for each partition), read or not.
    """

    name: str

    @property
    def partitions(self) -> int:
        """How many there are, from the stream's beginning on; they are numbered from 0."""

    async def publish(self, records: Sequence[Record]) -> list[bool]:
        """Accept records, all or none; for each whether it is new. Of a record its key, body and id count."""

    async def read(self, partition: int, after: int, most: int, *, wait: float = 0.0) -> Sequence[Record]:
        """Up to `most` records behind the position `after`; where there are none, wait for some, at most `wait`
        seconds. Positions below the first one kept are skipped."""

    async def bounds(self, partition: int) -> Bounds:
        """What the partition holds now."""

    async def position_at(self, partition: int, moment: float) -> int:
        """The position behind which the records lie that were accepted at `moment` or later."""

    async def join(self, group: str, consumer: str, seconds: float) -> int:
        """Tell that this consumer of a group is there for so many seconds from now; how many are there."""

    async def leave(self, group: str, consumer: str) -> None:
        """Tell that this consumer is not there any more."""

    async def claim(self, group: str, consumer: str, most: int, seconds: float) -> Sequence[Claim]:
        """Claim up to `most` partitions that nobody of this group holds, for `seconds`."""


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an app asks of its engine, beside the URL.

    `directory` is the app's folder, from which relative paths in the URL count. A queue accepts `queue_bound` messages
    that are not settled. A stream has `stream_partitions` from its beginning on, and keeps a record for
    `stream_retention` seconds, of each partition the newest `stream_records` (None: as many as the engine likes).
    """

    directory: Path
    clock: Clock = SystemClock()
    queue_bound: int = 100_000
    stream_partitions: int = 4
    stream_retention: float = 86_400.0
    stream_records: int | None = None


class Engine(Protocol):
    """Queues, streams and state of an app. Made for a URL; entered once, before anything else.

    Leaving it waits for what was asked of it. What is lent then is given back when its lease ends, if not before.
    """

    durable: bool
    """Whether what it accepted outlives the process."""
    shared: bool
    """Whether other processes may use the same queues, streams and state at the same time."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def queue(self, name: str) -> Queue:
        """The queue of this name; it comes into being with its first message."""

    def stream(self, name: str) -> Stream:
        """The stream of this name; it comes into being with its first record or consumer."""

    def state(self, name: str) -> State:
        """The state of this name."""

    async def queues(self) -> list[str]:
        """Names of the queues that hold messages or dead letters."""

    async def streams(self) -> list[str]:
        """Names of the streams that hold records."""


EngineFactory = Callable[[str, EngineOptions], Engine]
"""What makes an engine of a URL. Raises `ConfigurationError` where the URL is wrong."""
