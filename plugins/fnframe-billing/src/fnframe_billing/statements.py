"""What the ledger says to SQLite, made of the names of the columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .hours import HOUR_MS
from .rows import ROW_SUMS, SUMS
from .usage import Usage

ROW = (
    "request_id", "attempt", "kind", "started_ms", "queued_us", "init_us", "duration_us", "requests", "peak_kb",
    "cpu_us", "trace_id",
)  # fmt: skip
KINDS = (
    "function", "trigger", "invocation_type", "outcome", "memory_mb", "storage_mb", "provisioned", "memory_method",
    "tenant", "tags", "node", "version",
)  # fmt: skip
USAGE = Usage.__struct_fields__


def _marks(columns: Collection[str]) -> str:
    return ",".join("?" * len(columns))


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(columns)


def _added(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} = {name} + excluded.{name}" for name in columns)


def _insertion(rows: int) -> str:
    return f"INSERT INTO invocations ({_listed(ROW)}) VALUES {','.join([f'({_marks(ROW)})'] * rows)}"


# Of few sizes, since each is parsed once; and large, since each step into SQLite lets go of the interpreter.
INSERTIONS = [(size, _insertion(size)) for size in (512, 128, 32, 8, 2, 1)]
ADD_KIND = f"INSERT INTO kinds ({_listed(KINDS)}) VALUES ({_marks(KINDS)}) ON CONFLICT DO NOTHING"
KIND = f"SELECT id FROM kinds WHERE ({_listed(KINDS)}) = ({_marks(KINDS)})"
ADD = (
    f"INSERT INTO hourly (hour, kind, {_listed(SUMS)}) VALUES (?, ?, {_marks(SUMS)}) "
    f"ON CONFLICT DO UPDATE SET {_added(SUMS)}"
)
SUM_UP = f"""
    INSERT INTO hourly (hour, kind, {_listed(SUMS)})
    SELECT started_ms / {HOUR_MS}, kind, {ROW_SUMS}
    FROM invocations JOIN kinds ON kinds.id = kind WHERE invocations.id > ? GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET {_added(SUMS)}
"""
RESERVE = "INSERT INTO reservations VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
SPENT = f"SELECT {_listed(USAGE)} FROM spent WHERE (budget, subject, period) = (?, ?, ?)"
SPEND = (
    f"INSERT INTO spent (budget, subject, period, {_listed(USAGE)}) VALUES (?, ?, ?, {_marks(USAGE)}) "
    f"ON CONFLICT DO UPDATE SET {_added(USAGE)} RETURNING {_listed(USAGE)}"
)
WAITING = (
    "SELECT ifnull((SELECT before FROM bursts ORDER BY id LIMIT 1), 0), "
    "ifnull((SELECT after FROM bursts ORDER BY id DESC LIMIT 1), 0)"
)
ADD_BURST = "INSERT INTO bursts (before, after, body) VALUES (?, ?, ?)"
