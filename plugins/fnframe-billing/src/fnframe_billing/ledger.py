"""The ledger: a row for each invocation, and the hours that they sum up to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import apsw
import msgspec

from .figures import FIRST_CHUNK, is_billed, requests_of
from .hours import used_since
from .rows import BILLED_MS, HANDLER_MS
from .schema import MEMORY, memory_name, open_to_read, open_to_write
from .usage import Usage

if TYPE_CHECKING:
    from fnframe import Function, Report

    from .scope import Scope

HOUR_MS = 3_600_000

PRUNED_AT_ONCE = 20_000

MOST_KINDS = 10_000
"""Kinds whose numbers are remembered."""


class Position(NamedTuple):
    """How far a reader is: behind which record or row, and its id, by which a stream that began anew is known."""

    position: int = 0
    last: str = ""


class Reading(NamedTuple):
    """Where reports come from: a reader who was at `before` and is at `to` with them."""

    reader: str
    before: Position
    to: Position


class Spent(NamedTuple):
    """Of which budget, on whom, in the period that began when (seconds since the epoch)."""

    budget: str
    subject: str
    period: int


class Ledger:
    """Written by one thread at a time; read elsewhere, by a connection of `reader`.

    `path` is the file, or `MEMORY`, and `app` whose it is. It is opened by the first use: who only looks at an app
    leaves nothing.
    """

    def __init__(self, path: Path | str, app: str = "") -> None:
        self.name = memory_name() if path == MEMORY else str(path)
        self._app = app
        self._opened: apsw.Connection | None = None
        self._lock = threading.RLock()
        self._kinds: dict[tuple[Any, ...], int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def in_memory(self) -> bool:
        """Whether it goes with this process."""
        return self.name.startswith("file:")

    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._opened is not None or (not self.in_memory and Path(self.name).exists())

    def reader(self) -> apsw.Connection:
        """A connection to read with, for who closes it. Raises `ConfigurationError`."""
        if self.in_memory:
            self._connection()  # A database in memory is there while somebody has it open.
        return open_to_read(self.name)

    def write(
        self, reports: Sequence[Report], spent: Mapping[Spent, Usage] = {}, reading: Reading | None = None
    ) -> dict[Spent, Usage] | None:
        """Keep reports, each once, and what they took from budgets, in one step; what is spent of these now, by all.

        Reports that were refused, and those that are there already, are left out. None, and nothing is written, where
        the reader of `reading` is not at its `before` any more. Raises `apsw.Error` and `ConfigurationError`.
        """
        billed = [report for report in reports if is_billed(report)]
        with self._transaction() as connection:
            if reading is not None and not self._advance(reading):
                return None
            try:
                with _step(connection, "SAVEPOINT rows", "RELEASE rows", "ROLLBACK TO rows"):
                    self._insert(billed)
            except apsw.ConstraintError:
                self._kinds.clear()
                self._insert(self._new(billed))
            return {key: self._spend(key, usage) for key, usage in spent.items()}

    def reserve(self, run: str, functions: Iterable[Function], node: str, begun_ms: int, milliseconds: int) -> None:
        """Bill the environments that these functions keep warm for so long, once for a `run` and a beginning."""
        with self._transaction() as connection:
            for function in functions:
                tags = _tags(function.tags)
                kind = self._kind(
                    (function.name, "provisioned", "", "success", function.memory, function.ephemeral_storage, 1, "",
                     "", tags, node, "")
                )  # fmt: skip
                reserved = milliseconds * function.provisioned_concurrency
                connection.execute(_RESERVE, (run, kind, begun_ms, reserved))
                if connection.changes():
                    connection.execute(_ADD, (begun_ms // HOUR_MS, kind, 0, 0, 0, 0, 0, 0, 0, reserved))

    def position(self, reader: str) -> Position:
        """How far this reader is."""
        row = self._found("SELECT position, last FROM positions WHERE reader = ?", (reader,))
        return Position(*row) if row else Position()

    def move(self, reader: str, to: Position) -> None:
        """Keep how far this reader is."""
        with self._lock:
            self._connection().execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (reader, *to))

    def spent(self, key: Spent) -> Usage:
        """What is spent of a budget."""
        row = self._found(_SPENT, key)
        return Usage(*row) if row else Usage()

    def accounts(self, scope: Scope, period: int, init_billed: bool) -> dict[str, Usage]:
        """What each subject of a scope spent in the period that began then: of a scope that is new, what the hours say
        since. Where the period begins within an hour, that counts whole."""
        if not self.exists():
            return {}
        find = "SELECT subject, " + _listed(_USAGE) + " FROM spent WHERE budget = ? AND period = ?"
        with self._transaction() as connection:
            found = {subject: Usage(*row) for subject, *row in connection.execute(find, (scope.key, period))}
            if not found:
                found = dict(used_since(connection, scope, period // 3600, init_billed))
                for subject, usage in found.items():
                    self._spend(Spent(scope.key, subject, period), usage)
        return found

    def prune(self, before_ms: int, keep_from: int | None = None) -> int:
        """Forget rows of invocations that began before this moment, the oldest and so many that nobody waits long; how
        many there were. Rows from the id `keep_from` on are kept, and what all of them sum up to."""
        with self._transaction() as connection:
            first, last = connection.execute("SELECT min(id), max(id) + 1 FROM invocations").get
            kept = "SELECT id FROM invocations WHERE started_ms >= ? ORDER BY id LIMIT 1"
            bounds = [connection.execute(kept, (before_ms,)).get, keep_from, last, (first or 0) + PRUNED_AT_ONCE]
            end = min(bound for bound in bounds if bound is not None)
            connection.execute("DELETE FROM invocations WHERE id < ?", (end,))
            return connection.changes()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _connection(self) -> apsw.Connection:
        if self._opened is None:
            self._opened = open_to_write(self.name, self._app)
        return self._opened

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        """One step, which others wait for. Kinds that were numbered go with what is undone."""
        with self._lock:
            connection = self._connection()
            try:
                with _step(connection, "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"):
                    yield connection
            except BaseException:
                self._kinds.clear()
                raise

    def _found(self, query: str, values: Sequence[Any]) -> Any:
        """One row, or nothing; a ledger that is not there does not come into being for it."""
        with self._lock:
            return self._connection().execute(query, values).get if self.exists() else None

    def _insert(self, reports: Sequence[Report]) -> None:
        connection = self._connection()
        before = connection.execute("SELECT ifnull(max(id), 0) FROM invocations").get
        values: list[Any] = []
        for report in reports:
            init, peak, cpu = report.init_duration_ms, report.max_memory_used_mb, report.cpu_ms
            values += (
                report.request_id,
                report.attempt,
                self._kind_of(report),
                int(report.started_at.timestamp() * 1000),
                round(report.queued_ms * 1000),
                None if init is None else round(init * 1000),
                round(report.duration_ms * 1000),
                1 if report.event_bytes <= FIRST_CHUNK else requests_of(report),
                None if peak is None else round(peak * 1024),
                None if cpu is None else round(cpu * 1000),
                report.trace_id,
            )
        begin = 0
        for size, statement in _INSERTIONS:
            while begin + size * len(_ROW) <= len(values):
                end = begin + size * len(_ROW)
                connection.execute(statement, values[begin:end])
                begin = end
        connection.execute(_SUM_UP, (before,))

    def _new(self, reports: Sequence[Report]) -> list[Report]:
        """Those that are not in the ledger yet, each once."""
        known = "SELECT 1 FROM invocations WHERE request_id = ? AND attempt = ?"
        first = {(report.request_id, report.attempt): report for report in reversed(reports)}
        return [report for key, report in first.items() if not self._connection().execute(known, key).get]

    def _kind_of(self, report: Report) -> int:
        key = (
            report.function, report.trigger, report.invocation_type, report.outcome, report.memory_size_mb,
            report.ephemeral_storage_mb, report.provisioned, report.memory_method, report.tenant or "",
            _tags(report.tags) if report.tags else "{}", report.node, report.version,
        )  # fmt: skip
        return self._kinds.get(key) or self._kind(key)

    def _kind(self, key: tuple[Any, ...]) -> int:
        connection = self._connection()
        connection.execute(_ADD_KIND, key)
        number: int = connection.execute(_KIND, key).get
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds[key] = number
        return number

    def _advance(self, reading: Reading) -> bool:
        if self.position(reading.reader) != reading.before:
            return False
        self.move(reading.reader, reading.to)
        return True

    def _spend(self, key: Spent, usage: Usage) -> Usage:
        return Usage(*self._connection().execute(_SPEND, (*key, *msgspec.structs.astuple(usage))).get)


@contextmanager
def _step(connection: apsw.Connection, begin: str, commit: str, undo: str) -> Iterator[None]:
    """All or nothing. By statements, since entering a connection would hold the interpreter while others write."""
    connection.execute(begin)
    try:
        yield
        connection.execute(commit)
    except BaseException:
        if connection.in_transaction:
            connection.execute(undo)
        raise


def _tags(tags: Mapping[str, str]) -> str:
    return json.dumps(tags, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# The statements, from the names of their columns.

_ROW = (
    "request_id", "attempt", "kind", "started_ms", "queued_us", "init_us", "duration_us", "requests", "peak_kb",
    "cpu_us", "trace_id",
)  # fmt: skip
_KINDS = (
    "function", "trigger", "invocation_type", "outcome", "memory_mb", "storage_mb", "provisioned", "memory_method",
    "tenant", "tags", "node", "version",
)  # fmt: skip
_SUMS = (
    "invocations", "requests", "billed_ms", "handler_ms", "cpu_us", "resident_mb_ms", "unmeasured", "reserved_ms",
)  # fmt: skip
_USAGE = Usage.__struct_fields__


def _marks(columns: Sequence[str]) -> str:
    return ",".join("?" * len(columns))


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns)


def _added(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = {name} + excluded.{name}" for name in columns)


def _insertion(rows: int) -> str:
    return f"INSERT INTO invocations ({_listed(_ROW)}) VALUES {','.join([f'({_marks(_ROW)})'] * rows)}"


# Of few sizes, since each is parsed once; and large, since each step into SQLite lets go of the interpreter.
_INSERTIONS = [(size, _insertion(size)) for size in (256, 64, 16, 4, 1)]
_ADD_KIND = f"INSERT INTO kinds ({_listed(_KINDS)}) VALUES ({_marks(_KINDS)}) ON CONFLICT DO NOTHING"
_KIND = f"SELECT id FROM kinds WHERE ({_listed(_KINDS)}) = ({_marks(_KINDS)})"
_ADD = (
    f"INSERT INTO hourly (hour, kind, {_listed(_SUMS)}) VALUES (?, ?, {_marks(_SUMS)}) "
    f"ON CONFLICT DO UPDATE SET {_added(_SUMS)}"
)
_SUM_UP = f"""
    INSERT INTO hourly (hour, kind, {_listed(_SUMS)})
    SELECT started_ms / {HOUR_MS}, kind, count(*), sum(requests), sum({BILLED_MS}), sum({HANDLER_MS}),
        sum(ifnull(cpu_us, duration_us)), sum(ifnull((peak_kb + 1023) / 1024, memory_mb) * {HANDLER_MS}),
        sum(peak_kb IS NULL OR cpu_us IS NULL), 0
    FROM invocations JOIN kinds ON kinds.id = kind WHERE invocations.id > ? GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET {_added(_SUMS)}
"""
_RESERVE = "INSERT INTO reservations VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SPENT = f"SELECT {_listed(_USAGE)} FROM spent WHERE (budget, subject, period) = (?, ?, ?)"
_SPEND = (
    f"INSERT INTO spent (budget, subject, period, {_listed(_USAGE)}) VALUES (?, ?, ?, {_marks(_USAGE)}) "
    f"ON CONFLICT DO UPDATE SET {_added(_USAGE)} RETURNING {_listed(_USAGE)}"
)
