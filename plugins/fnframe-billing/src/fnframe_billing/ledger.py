"""The ledger: a row for each invocation, and the hours that they sum up to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import apsw
import msgspec

from fnframe import ConfigurationError

from .bursts import MOST_WAITING, decode, encode
from .entries import Entries, tags_text
from .hours import HOUR_MS, Used, used_by_rows, used_since
from .rows import last_row
from .schema import MEMORY, memory_name, open_to_read, open_to_write
from .statements import ADD, ADD_BURST, RESERVE, SPEND, SPENT, WAITING
from .usage import Usage

if TYPE_CHECKING:
    from fnframe import Function, Report

    from .budgets import Budgets
    from .scope import Scope

PRUNED_AT_ONCE = 2_000

LONGEST_PERIOD = 32 * 86_400
"""Seconds."""


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
        self._entries = Entries()

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
        """A connection to read with, for who closes it; all that was written until now is rows. Raises
        `ConfigurationError`."""
        if self.in_memory:
            self._connection()  # A database in memory is there while somebody has it open.
        connection = open_to_read(self.name)
        try:
            self.settle_all(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def write(
        self, reports: Sequence[Report], reading: Reading | None = None, budgets: Budgets | None = None
    ) -> dict[Spent, Usage] | None:
        """Keep reports, each once, and in the same step what they take from budgets; what is spent now, by all.

        Reports that were refused, and those that are there already, are left out. None, and nothing is written, where
        the reader of `reading` is not at its `before` any more. Raises `apsw.Error` and `ConfigurationError`.
        """
        with self._transaction() as connection:
            if reading is not None and not self._advance(reading):
                return None
            last = last_row(connection)
            self._entries.add(connection, reports)
            if budgets is None or not budgets.accounts:
                return {}
            return self._spend(budgets.spent(used_by_rows(connection, last, budgets.init_billed)))

    def put_off(self, reports: Sequence[Report]) -> bool:
        """Keep reports as a burst, of which `settle` makes rows; False, and nothing is written, where too many wait.

        Raises `apsw.Error`, `ConfigurationError`, and what `bursts.encode` raises.
        """
        body = encode(reports)
        with self._transaction() as connection:
            # Each tells how many reports came before it and with it: two of them say how many wait.
            oldest, newest = connection.execute(WAITING).get
            if newest - oldest + len(reports) > MOST_WAITING:
                return False
            connection.execute(ADD_BURST, (newest, newest + len(reports), body))
            return True

    def settle(self, until: int | None = None) -> bool:
        """Make rows of the oldest burst, whoever wrote it, if its id is not beyond `until`; whether there was one.

        Raises `apsw.Error` and `ConfigurationError`.
        """
        if not self.exists():
            return False
        oldest = "SELECT id, body FROM bursts WHERE id <= ifnull(?, id) ORDER BY id LIMIT 1"
        with self._relaxed(), self._transaction() as connection:
            burst = connection.execute(oldest, (until,)).fetchone()
            if burst is None:
                return False
            connection.execute("DELETE FROM bursts WHERE id = ?", burst[:1])
            try:
                reports = decode(burst[1])
            except (msgspec.MsgspecError, TypeError) as error:
                problem = f"invocations wait in this ledger to be summed up, and cannot be read: {error}"
                raise ConfigurationError(problem, where=self.name) from None
            self._entries.add_each(connection, reports)
            return True

    def settle_all(self, connection: apsw.Connection | None = None) -> None:
        """Make rows of all bursts that this connection, or else this ledger's own, sees now. Raises
        `ConfigurationError`: without them a sum would be wrong."""
        try:
            until = (connection or self._connection()).execute("SELECT max(id) FROM bursts").get
            while until is not None and self.settle(until):
                pass
        except apsw.Error as error:
            problem = f"invocations wait in this ledger to be summed up, and it cannot be written: {error}"
            raise ConfigurationError(problem, where=self.name) from None

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
        self.settle_all()
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
                self._entries.forget()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _relaxed(self) -> Iterator[None]:
        """A step in here need not be on the disk when it is done: if power fails, it was not taken."""
        with self._lock:
            self._connection().pragma("synchronous", "normal")
            try:
                yield
            finally:
                self._connection().pragma("synchronous", "full")

    def _found(self, query: str, values: Sequence[Any]) -> Any:
        """One row, or nothing; a ledger that is not there does not come into being for it."""
        with self._lock:
            return self._connection().execute(query, values).get if self.exists() else None

    def _advance(self, reading: Reading) -> bool:
        if self.position(reading.reader) != reading.before:
            return False
        self._connection().execute("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", (reading.reader, *reading.to))
        return True

    def _reserve(self, run: str, function: Function, node: str, begun_ms: int, reserved_ms: int) -> bool:
        """Whether it is new."""
        connection, tags = self._connection(), tags_text(function.tags)
        kind = self._entries.kind(
            connection,
            (function.name, "provisioned", "", "success", function.memory, function.ephemeral_storage, 1, "", "", tags,
             node, ""),
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
