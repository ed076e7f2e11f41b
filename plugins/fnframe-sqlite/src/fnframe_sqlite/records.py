"""What happens to records, consumers and claims, as SQL: each function is one request within a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe.engine.protocol import DUPLICATE_WINDOW, REPORTS, REPORTS_KEPT, Bounds, Record, partition_of, record_of

from .schema import SPAN

if TYPE_CHECKING:
    from fnframe.outcome import Report

    from .transaction import PartitionRow, StreamRow, Transaction

KEPT = 10_000_000
"""So many records a partition keeps unless it is told otherwise."""

DROPPED_AT_ONCE = 1000
AT_ONCE = 64
"""So many reports are appended in one statement."""


class Published(NamedTuple):
    """A record on its way in; `file` holds its body if that is large."""

    record: Record
    file: str | None


class ClaimRow(NamedTuple):
    """A partition that was claimed."""

    number: int
    partition: int
    checkpoint: bytes


def publish(tx: Transaction, name: str, records: Sequence[Published]) -> list[bool]:
    stream = tx.stream(name)
    for _, file in records:
        if file is not None:
            tx.bodies.check(file)
    accepted = []
    for record, file in records:
        is_new = not record.id or _is_new(tx, stream, record.id)
        accepted.append(is_new)
        if is_new:
            _append(tx, stream, record, file)
        elif file is not None:
            tx.unneeded.append(file)
    return accepted


def keep_report(tx: Transaction, report: Report | None) -> None:
    """Keep a report with what it settles; see `append_reports`."""
    if report is not None:
        tx.reports.append(report)


def append_reports(tx: Transaction) -> None:
    """Append the reports that are to be kept, in as few steps as can be: at each one the interpreter's lock has to be
    won back, and an acknowledgement has one of its own."""
    while tx.reports:
        some = [record_of(report) for report in tx.reports[:AT_ONCE]]
        del tx.reports[:AT_ONCE]
        _append_together(tx, tx.stream(REPORTS).partitions[0], some)


def read(tx: Transaction, name: str, partition: int, after: int, most: int) -> list[tuple[Record, str | None]]:
    """Records, with the files of those whose body is in one."""
    row = _partition(tx, name, partition)
    behind = max(after, _first(tx, row) - 1)
    base = row.number * SPAN
    sql = (
        "SELECT key, body, id, place, accepted, file FROM record WHERE place > ? AND place <= ? ORDER BY place LIMIT ?"
    )
    found = tx.rows(sql, (base + behind, base + row.last, most))
    return [
        (Record(key, body or b"", id_, place - base, moment), file) for key, body, id_, place, moment, file in found
    ]


def bounds(tx: Transaction, name: str, partition: int) -> Bounds:
    row = _partition(tx, name, partition)
    return Bounds(_first(tx, row), row.last)


def position_at(tx: Transaction, name: str, partition: int, moment: float) -> int:
    row = _partition(tx, name, partition)
    return _search(tx, row, _first(tx, row), moment) - 1


def streams(tx: Transaction) -> list[str]:
    names = [name for (name,) in tx.rows("SELECT name FROM stream")]
    return [name for name in names if any(_first(tx, row) <= row.last for row in tx.stream(name).partitions)]


def know_partitions(tx: Transaction) -> None:
    """Let it be known how many partitions each stream has."""
    for (name,) in tx.rows("SELECT name FROM stream"):
        tx.stream(name)


def join(tx: Transaction, name: str, consumers: str, consumer: str, seconds: float) -> int:
    number = tx.stream(name).number
    sql = "DELETE FROM consumer WHERE stream = ? AND consumers = ? AND until <= ?"
    tx.execute(sql, (number, consumers, tx.monotonic))
    sql = "INSERT OR REPLACE INTO consumer (stream, consumers, name, until) VALUES (?, ?, ?, ?)"
    tx.execute(sql, (number, consumers, consumer, tx.monotonic + seconds))
    sql = "SELECT count(*) FROM consumer WHERE stream = ? AND consumers = ?"
    there: int = tx.one(sql, (number, consumers))[0]
    return there


def leave(tx: Transaction, name: str, consumers: str, consumer: str) -> None:
    sql = "DELETE FROM consumer WHERE stream = ? AND consumers = ? AND name = ?"
    tx.execute(sql, (tx.stream(name).number, consumers, consumer))


def claim(tx: Transaction, name: str, consumers: str, most: int, seconds: float, number: int) -> list[ClaimRow]:
    claimed: list[ClaimRow] = []
    for part, row in enumerate(tx.stream(name).partitions):
        if len(claimed) == most:
            break
        found = tx.one(
            "INSERT INTO claim (partition, consumers, until, claim) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET until = excluded.until, claim = excluded.claim "
            "WHERE claim.until IS NULL OR claim.until <= ? RETURNING checkpoint",
            (row.number, consumers, tx.monotonic + seconds, number, tx.monotonic),
        )
        if found is not None:
            claimed.append(ClaimRow(row.number, part, found[0]))
    return claimed


def commit(
    tx: Transaction, partition: int, consumers: str, number: int, checkpoint: bytes, reports: Sequence[Report]
) -> bool:
    if not _change_claim(tx, "checkpoint = ?", checkpoint, partition, consumers, number):
        return False
    for report in reports:
        keep_report(tx, report)
    return True


def extend_claim(tx: Transaction, partition: int, consumers: str, number: int, seconds: float) -> bool:
    return _change_claim(tx, "until = ?", tx.monotonic + seconds, partition, consumers, number)


def release_claim(tx: Transaction, partition: int, consumers: str, number: int) -> None:
    _change_claim(tx, "until = ?", None, partition, consumers, number)


def is_anything_claimed(tx: Transaction) -> bool:
    """Whether anybody holds a partition, or is there to hold one; or did, and was, when it ended."""
    sql = "SELECT 1 FROM claim WHERE until IS NOT NULL UNION ALL SELECT 1 FROM consumer LIMIT 1"
    return tx.one(sql) is not None


def end_claims(tx: Transaction) -> None:
    """Whoever held a partition, or was there to hold one, is not there any more."""
    tx.execute("UPDATE claim SET until = NULL WHERE until IS NOT NULL")
    tx.execute("DELETE FROM consumer")


def _change_claim(
    tx: Transaction, change: str, value: bytes | float | None, partition: int, consumers: str, number: int
) -> bool:
    sql = f"UPDATE claim SET {change} WHERE partition = ? AND consumers = ? AND claim = ? AND until > ? RETURNING 1"
    return tx.one(sql, (value, partition, consumers, number, tx.monotonic)) is not None


def _partition(tx: Transaction, name: str, partition: int) -> PartitionRow:
    return tx.stream(name).partitions[partition]


def _is_new(tx: Transaction, stream: StreamRow, id_: str) -> bool:
    """Whether the id was not accepted within the window for duplicates; it is, from now on."""
    row = tx.one("SELECT moment FROM seen WHERE owner = ? AND id = ?", (-stream.number, id_))
    if row is not None and row[0] >= tx.now - DUPLICATE_WINDOW:
        return False
    tx.execute("INSERT OR REPLACE INTO seen (owner, id, moment) VALUES (?, ?, ?)", (-stream.number, id_, tx.now))
    return True


def _append(tx: Transaction, stream: StreamRow, record: Record, file: str | None) -> None:
    row = stream.partitions[partition_of(record.key, len(stream.partitions))]
    row.last += 1
    row.changed = True
    body = record.body if file is None else None
    tx.execute(
        "INSERT INTO record (place, key, id, body, file, accepted) VALUES (?, ?, ?, ?, ?, max(?, coalesce("
        "(SELECT accepted FROM record WHERE place = ?), 0.0)))",  # The clock may have been set back.
        (row.number * SPAN + row.last, record.key, record.id, body, file, tx.now, row.number * SPAN + row.last - 1),
    )
    tx.stirred.add(-row.number)
    if row.last % DROPPED_AT_ONCE == 0:
        _drop(tx, row)


def _append_together(tx: Transaction, row: PartitionRow, records: Sequence[Record]) -> None:
    """Append records without large bodies to one partition."""
    before, base = row.last, row.number * SPAN
    newest = tx.one("SELECT accepted FROM record WHERE place = ?", (base + before,))
    accepted = max(tx.now, newest[0]) if newest else tx.now  # The clock may have been set back.
    row.last += len(records)
    row.changed = True
    values: list[Any] = []
    for place, record in enumerate(records, base + before + 1):
        values += (place, record.key, record.id, record.body, accepted)
    rows = ", ".join(["(?, ?, ?, ?, ?)"] * len(records))
    tx.execute(f"INSERT INTO record (place, key, id, body, accepted) VALUES {rows}", tuple(values))
    tx.stirred.add(-row.number)
    if row.last // DROPPED_AT_ONCE > before // DROPPED_AT_ONCE:
        _drop(tx, row)


def _first(tx: Transaction, row: PartitionRow) -> int:
    """The first position that is kept, whether what is before it has been dropped already or not."""
    if row.is_of_reports and row.first <= row.last:
        (newest,) = tx.one("SELECT accepted FROM record WHERE place = ?", (row.number * SPAN + row.last,))
        return _search(tx, row, row.first, newest - REPORTS_KEPT)
    least = max(row.first, row.last - (tx.options.stream_records or KEPT) + 1)
    return _search(tx, row, least, tx.now - tx.options.stream_retention)


def _search(tx: Transaction, row: PartitionRow, first: int, moment: float) -> int:
    """The first position, from `first` on, of what was accepted at the moment or later: positions have no gaps."""
    behind = row.last + 1
    middle = first  # Mostly all that is there is young enough.
    while first < behind:
        (accepted,) = tx.one("SELECT accepted FROM record WHERE place = ?", (row.number * SPAN + middle,))
        if accepted < moment:
            first = middle + 1
        else:
            behind = middle
        middle = (first + behind) // 2
    return first


def _drop(tx: Transaction, row: PartitionRow) -> None:
    """Drop what is not kept any more, some of it: a transaction must not take long."""
    first = min(_first(tx, row), row.first + 2 * DROPPED_AT_ONCE)
    base = row.number * SPAN
    files = tx.rows(
        "DELETE FROM record WHERE place >= ? AND place < ? RETURNING file", (base + row.first, base + first)
    )
    tx.unneeded += [file for (file,) in files if file is not None]
    row.first = first
