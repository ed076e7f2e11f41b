"""What the rows of single invocations answer."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import apsw

HANDLER_MS = "max(1, (duration_us + 999) / 1000)"
BILLED_MS = "max(1, (duration_us + ifnull(init_us, 0) + 999) / 1000)"
"""What is billed of a row, without its cold start and with it: the sum is rounded up, not its parts."""

SUMS = {
    "invocations": "count(*)",
    "requests": "sum(requests)",
    "billed_ms": f"sum({BILLED_MS})",
    "handler_ms": f"sum({HANDLER_MS})",
    "cpu_us": "sum(ifnull(cpu_us, duration_us))",
    "resident_mb_ms": f"sum(ifnull((peak_kb + 1023) / 1024, memory_mb) * {HANDLER_MS})",
    "unmeasured": "sum(peak_kb IS NULL OR cpu_us IS NULL)",
    "reserved_ms": "0",
}
"""What rows of one kind sum up to: the columns of `hourly`, and how each is summed up."""
ROW_SUMS = ", ".join(f"{sum_} AS {name}" for name, sum_ in SUMS.items())


class Row(NamedTuple):
    """One invocation, as who watches sees it."""

    id: int
    function: str
    outcome: str
    memory_mb: int
    ended_ms: int
    duration_us: int
    peak_kb: int | None


def rows_after(connection: apsw.Connection, last: int) -> Iterator[Row]:
    """The invocations that were written behind the row with this id."""
    rows: Any = connection.execute(
        "SELECT invocations.id, function, outcome, memory_mb, started_ms + duration_us / 1000, duration_us, peak_kb "
        "FROM invocations JOIN kinds ON kinds.id = kind WHERE invocations.id > ? ORDER BY invocations.id",
        (last,),
    )
    return (Row(*row) for row in rows)


def last_row(connection: apsw.Connection) -> int:
    """The id of the invocation that was written last."""
    return connection.execute("SELECT max(id) FROM invocations").get or 0


class UsageRow(NamedTuple):
    """One invocation, as who counts usage elsewhere gets it."""

    id: int
    request_id: str
    attempt: int
    function: str
    trigger: str
    invocation_type: str
    outcome: str
    memory_mb: int
    tenant: str
    tags: str
    started_ms: int
    requests: int
    handler_ms: int
    billed_ms: int
    peak_kb: int | None
    cpu_us: int | None


def usage_after(connection: apsw.Connection, last: int, most: int) -> list[UsageRow]:
    """The invocations that were written behind the row with this id, the first so many of them."""
    rows: Any = connection.execute(
        f"""
        SELECT invocations.id, request_id, attempt, function, trigger, invocation_type, outcome, memory_mb, tenant,
            tags, started_ms, requests, {HANDLER_MS}, {BILLED_MS}, peak_kb, cpu_us
        FROM invocations JOIN kinds ON kinds.id = kind WHERE invocations.id > ? ORDER BY invocations.id LIMIT ?
        """,
        (last, most),
    )
    return [UsageRow(*row) for row in rows]


class Peaks(NamedTuple):
    """How many invocations of a function with so much memory peaked at each MB; how many of them ran out of it."""

    function: str
    memory_mb: int
    counts: dict[int, int]
    exhausted: int

    @property
    def measured(self) -> int:
        """How many invocations stand behind it."""
        return sum(self.counts.values())

    @property
    def largest(self) -> int:
        """The largest peak in MB."""
        return max(self.counts)

    def quantile(self, share: float) -> int:
        """The peak in MB that so many of the invocations did not exceed."""
        left = math.ceil(self.measured * share)
        for peak in sorted(self.counts):
            left -= self.counts[peak]
            if left <= 0:
                return peak
        return self.largest


def peaks(connection: apsw.Connection, begin: dt.datetime, end: dt.datetime) -> list[Peaks]:
    """Of the invocations that began in this time, as far as their rows are kept and their memory was measured."""
    rows: list[Any] = connection.execute(
        """
        SELECT function, memory_mb, (peak_kb + 1023) / 1024, count(*), sum(outcome = 'Runtime.OutOfMemory')
        FROM invocations JOIN kinds ON kinds.id = kind
        WHERE started_ms >= ? AND started_ms < ? AND peak_kb IS NOT NULL
        GROUP BY 1, 2, 3 ORDER BY 1, 2
        """,
        (int(begin.timestamp() * 1000), int(end.timestamp() * 1000)),
    ).fetchall()
    return [
        Peaks(*key, {row[2]: row[3] for row in found}, sum(row[4] for row in found))
        for key, found in ((key, list(group)) for key, group in groupby(rows, lambda row: (row[0], row[1])))
    ]
