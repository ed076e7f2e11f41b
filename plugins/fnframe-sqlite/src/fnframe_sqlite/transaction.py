"""What a transaction knows: the time, the counters of the queues and partitions it touches, and what follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fnframe.engine.protocol import REPORTS

from .schema import SPAN

if TYPE_CHECKING:
    import apsw

    from fnframe.engine.protocol import EngineOptions
    from fnframe.outcome import Report

    from .bodies import Bodies


class QueueRow:
    """A queue's counters, written back at the end of the transaction."""

    __slots__ = ("changed", "held", "last", "name", "number")

    def __init__(self, number: int, name: str, held: int, last: int) -> None:
        self.number = number
        self.name = name
        self.held = held
        self.last = last
        self.changed = False

    def next(self) -> int:
        """The next place, or turn."""
        self.last += 1
        self.changed = True
        return self.last

    def hold(self, more: int) -> None:
        """Count messages that came, or were settled."""
        self.held += more
        self.changed = True

    @property
    def span(self) -> tuple[int, int]:
        """Its places lie behind the one and below the other."""
        return self.number * SPAN, (self.number + 1) * SPAN


class PartitionRow:
    """A partition's positions, written back at the end of the transaction; whether it is that of the reports."""

    __slots__ = ("changed", "first", "is_of_reports", "last", "number")

    def __init__(self, number: int, first: int, last: int, is_of_reports: bool = False) -> None:
        self.number = number
        self.first = first
        self.last = last
        self.is_of_reports = is_of_reports
        self.changed = False


class StreamRow:
    """A stream and its partitions."""

    __slots__ = ("number", "partitions")

    def __init__(self, number: int, partitions: list[PartitionRow]) -> None:
        self.number = number
        self.partitions = partitions


def partitions_of(name: str, options: EngineOptions) -> int:
    """So many partitions a stream has that is made now."""
    return 1 if name == REPORTS else options.stream_partitions


class Transaction:
    """One transaction on the engine's connection, shared by the requests of a group."""

    def __init__(
        self,
        connection: apsw.Connection,
        bodies: Bodies,
        options: EngineOptions,
        engine: str,
        partitions: dict[str, int],
        *,
        writes: bool,
    ) -> None:
        self.connection = connection
        self.writes = writes
        self.execute: Callable[..., apsw.Cursor] = connection.execute
        self.bodies = bodies
        self.options = options
        self.engine = engine
        self.now = options.clock.time()
        self.monotonic = options.clock.monotonic()
        """For leases and claims, which hold whatever somebody sets the clock to: one scale for all processes."""
        self.stirred: set[int] = set()
        """Channels with something new for who waits: queues, and partitions as negative numbers."""
        self.alone = True
        """Whether no other engine uses the file: then nobody has to be told who waits."""
        self.pushes = False
        """Whether the engines that stand before this one have had their time."""
        self.holds_back = False
        """Whether messages were left to them."""
        self.reports: list[Report] = []
        """What is to be kept with what was settled."""
        self.unneeded: list[str] = []
        """Files of bodies that nobody needs when this is committed."""
        self._partitions = partitions
        self._queues: dict[int, QueueRow] = {}
        self._queue_numbers: dict[str, int] = {}
        self._streams: dict[str, StreamRow] = {}

    def one(self, sql: str, bindings: tuple[Any, ...] = ()) -> Any:
        """The first row; None where there is none."""
        return self.execute(sql, bindings).fetchone()

    def rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        """All rows."""
        return self.execute(sql, bindings).fetchall()

    def queue(self, name: str) -> QueueRow:
        """The queue of this name, made if need be."""
        if name in self._queue_numbers:
            return self._queues[self._queue_numbers[name]]
        row = self.one("SELECT number, name, held, last FROM queue WHERE name = ?", (name,))
        if row is None:
            (number,) = self.one("SELECT coalesce(max(number), 0) + 1 FROM queue")
            row = (number, name, 0, number * SPAN)
            self.execute("INSERT INTO queue (number, name, held, last) VALUES (?, ?, ?, ?)", row)
        return self._keep(QueueRow(*row))

    def queue_at(self, place: int) -> QueueRow:
        """The queue that a place belongs to."""
        number = place // SPAN
        if number in self._queues:
            return self._queues[number]
        return self._keep(QueueRow(*self.one("SELECT number, name, held, last FROM queue WHERE number = ?", (number,))))

    def _keep(self, row: QueueRow) -> QueueRow:
        self._queue_numbers[row.name] = row.number
        return self._queues.setdefault(row.number, row)

    def stream(self, name: str) -> StreamRow:
        """The stream of this name, made if need be; where nothing may be written, an empty one."""
        if name not in self._streams:
            row = self.one("SELECT number FROM stream WHERE name = ?", (name,))
            if row is None and not self.writes:
                return StreamRow(0, [PartitionRow(0, 1, 0) for _ in range(partitions_of(name, self.options))])
            number = row[0] if row else self._new_stream(name)
            sql = "SELECT number, first, last FROM partition WHERE stream = ? ORDER BY part"
            rows = self.rows(sql, (number,))
            partitions = [PartitionRow(part, first, last, name == REPORTS) for part, first, last in rows]
            self._streams[name] = StreamRow(number, partitions)
            self._partitions[name] = len(self._streams[name].partitions)
        return self._streams[name]

    def _new_stream(self, name: str) -> int:
        partitions = partitions_of(name, self.options)
        sql = "INSERT INTO stream (name, partitions) VALUES (?, ?) RETURNING number"
        number: int = self.one(sql, (name, partitions))[0]
        rows = [(number, part) for part in range(partitions)]
        self.connection.executemany("INSERT INTO partition (stream, part, first, last) VALUES (?, ?, 1, 0)", rows)
        return number

    def end(self) -> None:
        """Write back what was counted."""
        for queue in self._queues.values():
            if queue.changed:
                sql = "UPDATE queue SET held = ?, last = ? WHERE number = ?"
                self.execute(sql, (queue.held, queue.last, queue.number))
        for stream in self._streams.values():
            for partition in stream.partitions:
                if partition.changed:
                    sql = "UPDATE partition SET first = ?, last = ? WHERE number = ?"
                    self.execute(sql, (partition.first, partition.last, partition.number))
