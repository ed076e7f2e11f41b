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
from .hours import HOUR_MS, Used, used_by_rows, used_since
from .rows import last_row
from .schema import MEMORY, memory_name, open_to_read, open_to_write
from .statements import ADD, ADD_KIND, INSERTIONS, KIND, RESERVE, ROW, SPEND, SPENT, SUM_UP
from .usage import Usage

if TYPE_CHECKING:
    from fnframe import Function, Report

    from .budgets import Budgets
    from .scope import Scope

PRUNED_AT_ONCE = 2_000

LONGEST_PERIOD = 32 * 86_400
"""Seconds."""

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
        self, reports: Sequence[Report], reading: Reading | None = None, budgets: Budgets | None = None
    ) -> dict[Spent, Usage] | None:
        """Keep reports, each once, and in the same step what they take from budgets; what is spent now, by all.

        Reports that were refused, and those that are there already, are left out. None, and nothing is written, where
        the reader of `reading` is not at its `before` any more. Raises `apsw.Error` and `ConfigurationError`.
        """
        billed = [report for report in reports if is_billed(report)]
        try:
            return self._write(billed, reading, budgets)
        except apsw.ConstraintError:  # Some are there: that is rare, and they are looked for only then.
            return self._write(billed, reading, budgets, known=True)

    def reserve(
        self, run: str, functions: Iterable[Function], node: str, begun_ms: int, milliseconds: int,
        budgets: Budgets | None = None,
    ) -> dict[Spent, Usage]:  # fmt: skip
        """Bill the environments that these functions keep warm for so long, once for a `run` and a beginning; returns
        the same as `write`."""
        uses = []
        with self._transaction():
            for function in functions:
                reserved = milliseconds * function.provisioned_concurrency
                if self._reserve(run, function, node, begun_ms, reserved):
                    usage = Usage(reserved_mb_ms=function.memory * reserved)
                    uses.append(Used(function.name, None, function.tags, begun_ms / 1000, usage))
            return {} if budgets is None else self._spend(budgets.spent(uses))

    def position(self, reader: str) -> Position:
        """How far this reader is."""
        row = self._found("SELECT position, last FROM positions WHERE reader = ?", (reader,))
        return Position(*row) if row else Position()

    def move(self, reader: str, to: Position) -> None:
        """Keep how far this reader is; where it is further already, by another process, it stays there."""
        with self._lock:
            self._connection().execute(
                "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, "
                "last = excluded.last WHERE excluded.position > position",
                (reader, *to),
            )

    def spent(self, keys: Iterable[Spent]) -> dict[Spent, Usage]:
        """What is spent of each of these, by all."""
        return {key: Usage(*row) for key in keys if (row := self._found(SPENT, key))}

    def accounts(self, scope: Scope, period: int, init_billed: bool) -> dict[str, Usage]:
        """What each subject of a scope spent since its period began, in seconds since the epoch.

        It is summed up anew: while no host had a budget of this scope, nobody counted for it.
        """
        if not self.exists():
            return {}
        with self._transaction() as connection:
            found = used_since(connection, scope, period, init_billed)
            connection.execute("DELETE FROM spent WHERE budget = ? AND period = ?", (scope.key, period))
            self._spend({Spent(scope.key, subject, period): usage for subject, usage in found.items()})
        return found

    def prune(self, before_ms: int, keep_from: int | None = None) -> int:
        """Forget rows of invocations that began before this moment, the oldest and so many that nobody waits long; how
        many there were. Rows from the id `keep_from` on are kept, and what all of them sum up to."""
        with self._transaction() as connection:
            first, end = connection.execute("SELECT min(id) FROM invocations").get or 0, last_row(connection) + 1
            end = min(first + PRUNED_AT_ONCE, end, end if keep_from is None else keep_from)
            young = "SELECT min(id) FROM invocations WHERE id < ? AND started_ms >= ?"
            end = connection.execute(young, (end, before_ms)).get or end
            connection.execute("DELETE FROM invocations WHERE id < ?", (end,))
            forgotten = connection.changes()
            # Longer than any period of a budget; what is not there is summed up where it is asked for.
            connection.execute("DELETE FROM spent WHERE period < ?", (before_ms // 1000 - LONGEST_PERIOD,))
            return forgotten

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
            # By statements, since entering a connection would hold the interpreter while others write.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._kinds.clear()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _found(self, query: str, values: Sequence[Any]) -> Any:
        """One row, or nothing; a ledger that is not there does not come into being for it."""
        with self._lock:
            return self._connection().execute(query, values).get if self.exists() else None

    def _write(
        self, billed: Sequence[Report], reading: Reading | None, budgets: Budgets | None, *, known: bool = False
    ) -> dict[Spent, Usage] | None:
        with self._transaction() as connection:
            if reading is not None and not self._advance(reading):
                return None
            new = self._new(billed) if known else billed
            if not new:
                return {}
            self._insert(new)
            last = connection.last_insert_rowid() - len(new)
            connection.execute(SUM_UP, (last,))
            if budgets is None or not budgets.accounts:
                return {}
            return self._spend(budgets.spent(used_by_rows(connection, last, budgets.init_billed)))

    def _insert(self, reports: Sequence[Report]) -> None:
        connection = self._connection()
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
        for size, statement in INSERTIONS:
            while begin + size * len(ROW) <= len(values):
                end = begin + size * len(ROW)
                connection.execute(statement, values[begin:end])
                begin = end

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
        connection.execute(ADD_KIND, key)
        number: int = connection.execute(KIND, key).get
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds[key] = number
        return number

    def _advance(self, reading: Reading) -> bool:
        if self.position(reading.reader) != reading.before:
            return False
        self._connection().execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (reading.reader, *reading.to))
        return True

    def _reserve(self, run: str, function: Function, node: str, begun_ms: int, reserved_ms: int) -> bool:
        """Whether it is new."""
        connection, tags = self._connection(), _tags(function.tags)
        kind = self._kind(
            (function.name, "provisioned", "", "success", function.memory, function.ephemeral_storage, 1, "", "", tags,
             node, "")
        )  # fmt: skip
        connection.execute(RESERVE, (run, kind, begun_ms, reserved_ms))
        is_new = connection.changes() > 0
        if is_new:
            connection.execute(ADD, (begun_ms // HOUR_MS, kind, 0, 0, 0, 0, 0, 0, 0, reserved_ms))
        return is_new

    def _spend(self, spent: Mapping[Spent, Usage]) -> dict[Spent, Usage]:
        execute = self._connection().execute
        return {
            key: Usage(*execute(SPEND, (*key, *msgspec.structs.astuple(usage))).get) for key, usage in spent.items()
        }


def _tags(tags: Mapping[str, str]) -> str:
    return json.dumps(tags, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
