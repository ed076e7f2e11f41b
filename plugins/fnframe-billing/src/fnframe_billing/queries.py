"""What the ledger answers."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe import ConfigurationError
from fnframe.errors import nearest

from .bill import Cell
from .settings import EACH
from .usage import INCLUDED_STORAGE, Usage

if TYPE_CHECKING:
    import apsw

    from .scope import Scope

EPOCH = dt.date(1970, 1, 1)

GROUPS = {
    "function": "function",
    "trigger": "trigger",
    "tenant": "tenant",
    "tag": "tags",
    "day": "date(hour * 3600, 'unixepoch')",
    "memory": "memory_mb || ' MB'",
    "outcome": "outcome",
}
"""What a bill can be divided by; `tag:NAME` is the value of one tag."""


def cells(
    connection: apsw.Connection, begin: dt.date, end: dt.date, *, by: str = "function", init_billed: bool = True,
    memory: Mapping[str, int] = {},
) -> Iterator[Cell]:  # fmt: skip
    """What each group used on each day from `begin` until before `end`, from the hours.

    `memory` is what functions might have had instead of their own, in MB; under `""` for all others. Raises
    `ConfigurationError` for what there is no group by.
    """
    group, values = _group(by)
    hours, others = _hours(memory)
    rows = connection.execute(
        f"SELECT hour / 24, {group}, {_usage(init_billed)} FROM {hours} WHERE hour >= ? AND hour < ? "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        (*values, *others, 24 * (begin - EPOCH).days, 24 * (end - EPOCH).days),
    )
    for day, found, *sums in rows:
        yield Cell(EPOCH + dt.timedelta(days=day), _name(by, found), Usage(*sums))


class Use(NamedTuple):
    """What a function used on one day, for one tenant and with one set of tags (as JSON)."""

    day: dt.date
    function: str
    tenant: str
    tags: str
    usage: Usage


def uses(connection: apsw.Connection, begin: dt.date, end: dt.date, *, init_billed: bool = True) -> Iterator[Use]:
    """What was used from `begin` until before `end`, as finely as anybody asks."""
    rows = connection.execute(
        f"SELECT hour / 24, function, tenant, tags, {_usage(init_billed)} FROM {_HOURS} WHERE hour >= ? AND hour < ? "
        "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        (24 * (begin - EPOCH).days, 24 * (end - EPOCH).days),
    )
    for day, function, tenant, tags, *sums in rows:
        yield Use(EPOCH + dt.timedelta(days=day), function, tenant, tags, Usage(*sums))


def used_by_memory(
    connection: apsw.Connection, begin: dt.datetime, *, init_billed: bool = True
) -> dict[tuple[str, int], Usage]:
    """What each function used with each size of memory, from the hour of this moment on."""
    rows: list[Any] = connection.execute(
        f"SELECT function, memory_mb, {_usage(init_billed)} FROM {_HOURS} WHERE hour >= ? GROUP BY 1, 2",
        (int(begin.timestamp()) // 3600,),
    ).fetchall()
    return {(function, memory): Usage(*sums) for function, memory, *sums in rows}


def used_since(connection: apsw.Connection, scope: Scope, hour: int, init_billed: bool) -> Iterator[tuple[str, Usage]]:
    """What each subject of a scope used, from an hour (since the epoch) on."""
    subject = {"app": "''", "function": "function", "tenant": "tenant", "tag": "coalesce(tags ->> ?, '')"}[scope.kind]
    tag = (scope.tag,) if scope.kind == "tag" else ()
    rows: list[Any] = connection.execute(
        f"SELECT {subject}, {_usage(init_billed)} FROM {_HOURS} WHERE hour >= ? GROUP BY 1", (*tag, hour)
    ).fetchall()
    for found, *sums in rows:
        if scope.kind == "app" or (found and scope.value in (EACH, found)):
            yield found, Usage(*sums)


def functions(connection: apsw.Connection) -> list[str]:
    """The functions that the ledger knows."""
    return [str(name) for (name,) in connection.execute("SELECT DISTINCT function FROM kinds ORDER BY 1")]


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
        """
        SELECT invocations.id, request_id, attempt, function, trigger, invocation_type, outcome, memory_mb, tenant,
            tags, started_ms, requests, max(1, (duration_us + 999) / 1000),
            max(1, (duration_us + ifnull(init_us, 0) + 999) / 1000), peak_kb, cpu_us
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


class Extent(NamedTuple):
    """The first and the last day of what is in the ledger."""

    first: dt.date
    last: dt.date


def extent(connection: apsw.Connection) -> Extent | None:
    """The days of which there is something; None of an empty ledger."""
    first, last = connection.execute("SELECT min(hour), max(hour) FROM hourly").get
    if first is None:
        return None
    return Extent(EPOCH + dt.timedelta(days=first // 24), EPOCH + dt.timedelta(days=last // 24))


_HOURS = "hourly JOIN kinds ON kinds.id = hourly.kind"


def _hours(memory: Mapping[str, int]) -> tuple[str, list[str | int]]:
    """The hours, with the memory that functions might have had."""
    if not memory:
        return _HOURS, []
    cases = [(name, mb) for name, mb in memory.items() if name]
    whens = " ".join("WHEN ? THEN ?" for _ in cases)
    other = "?" if "" in memory else "memory_mb"
    chosen = f"CASE function {whens} ELSE {other} END" if cases else other
    names = "function, trigger, outcome, storage_mb, provisioned, tenant, tags, hourly.*"
    values = [value for case in cases for value in case]
    return f"(SELECT {names}, {chosen} AS memory_mb FROM {_HOURS})", [*values, *([memory[""]] if "" in memory else [])]


def _usage(init_billed: bool) -> str:
    """The fields of `Usage`, from sums of hours."""
    billed = "billed_ms" if init_billed else "handler_ms"
    return f"""
        sum(invocations), sum(iif(outcome = 'success', 0, invocations)), sum(requests),
        sum(iif(provisioned, 0, memory_mb * {billed})), sum(iif(provisioned, memory_mb * {billed}, 0)),
        sum(memory_mb * reserved_ms), sum((storage_mb - {INCLUDED_STORAGE}) * {billed}),
        sum(cpu_us), sum(resident_mb_ms), sum(unmeasured)
    """


def _group(by: str) -> tuple[str, tuple[str, ...]]:
    if by.startswith("tag:") and len(by) > 4:
        return "coalesce(tags ->> ?, '')", (by.removeprefix("tag:"),)
    if by not in GROUPS:
        raise ConfigurationError(
            f"a bill is divided by {', '.join(GROUPS)} or tag:NAME, and not by {by!r}{nearest(by, GROUPS)}"
        )
    return GROUPS[by], ()


def _name(by: str, group: str) -> str:
    if by == "tag":
        return " ".join(f"{name}={text}" for name, text in json.loads(group).items()) or "(no tags)"
    return group or f"(no {by.removeprefix('tag:')})"
