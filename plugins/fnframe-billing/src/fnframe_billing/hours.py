"""What the hours answer: who used how much, when."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe import ConfigurationError
from fnframe.errors import nearest

from .bill import Cell
from .rows import ROW_SUMS, SUMS
from .settings import EACH
from .usage import INCLUDED_STORAGE, Usage

if TYPE_CHECKING:
    import apsw

    from .scope import Scope

EPOCH = dt.date(1970, 1, 1)
HOUR_MS, QUARTER_MS = 3_600_000, 900_000
DAY = 24
FOREVER = 2**40

GROUPS = {
    "function": "function",
    "trigger": "trigger",
    "tenant": "tenant",
    "tag": "tags",
    "day": "date(day * 86400, 'unixepoch')",
    "memory": "memory_mb || ' MB'",
    "outcome": "outcome",
}
"""What a bill can be divided by; `tag:NAME` is the value of one tag."""
# Not `tags ->> :tag`, to which some names are paths.
_TAG = "ifnull((SELECT value FROM json_each(tags) WHERE key = :tag), '')"

# By day and kind first: there are fewer of them than hours, and only then it matters what kind it is.
_DAYS = f"""
    (SELECT hour / {DAY} AS day, kind, {", ".join(f"sum({name}) AS {name}" for name in SUMS)}
     FROM hourly WHERE hour >= :begin AND hour < :end GROUP BY 1, 2) JOIN kinds ON kinds.id = kind
"""
# The same of a part of an hour, from what sums up to it: of a day that begins within one.
_PART = f"""
    (SELECT kind, {", ".join(f"0 AS {name}" for name in SUMS if name != "reserved_ms")}, reserved_ms
     FROM reservations WHERE begun_ms >= :begin AND begun_ms < :end
     UNION ALL
     SELECT kind, {ROW_SUMS} FROM invocations JOIN kinds ON kinds.id = kind
     WHERE started_ms >= :begin AND started_ms < :end GROUP BY 1) JOIN kinds ON kinds.id = kind
"""
# The same of rows that are new, by quarters of an hour, at which days begin in every zone.
_NEW = f"""
    (SELECT kind, started_ms / {QUARTER_MS} AS quarter, {ROW_SUMS}
     FROM invocations JOIN kinds ON kinds.id = kind WHERE invocations.id > :last GROUP BY 1, 2)
    JOIN kinds ON kinds.id = kind
"""


def cells(
    connection: apsw.Connection, begin: dt.date, end: dt.date, *, by: str = "function", init_billed: bool = True,
    memory: Mapping[str, int] = {},
) -> Iterator[Cell]:  # fmt: skip
    """What each group used on each day from `begin` until before `end`.

    `memory` is what functions might have had instead of their own, in MB; under `""` for all others. Raises
    `ConfigurationError` for what there is no group by.
    """
    group, values = _group(by)
    chosen, sizes = _memory(memory)
    query = f"SELECT day, {group}, {_usage(init_billed, chosen)} FROM {_DAYS} GROUP BY 1, 2 ORDER BY 1, 2"
    for day, found, *sums in _rows(connection, query, _span(begin, end) | values | sizes):
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
    query = f"SELECT day, function, tenant, tags, {_usage(init_billed)} FROM {_DAYS} GROUP BY 1, 2, 3, 4"
    for day, function, tenant, tags, *sums in _rows(connection, f"{query} ORDER BY 1, 2, 3, 4", _span(begin, end)):
        yield Use(EPOCH + dt.timedelta(days=day), function, tenant, tags, Usage(*sums))


def used_by_memory(
    connection: apsw.Connection, begin: dt.datetime, *, init_billed: bool = True
) -> dict[tuple[str, int], Usage]:
    """What each function used with each size of memory, from the hour of this moment on."""
    query = f"SELECT function, memory_mb, {_usage(init_billed)} FROM {_DAYS} GROUP BY 1, 2"
    rows = _rows(connection, query, {"begin": int(begin.timestamp()) // 3600, "end": FOREVER})
    return {(function, memory): Usage(*sums) for function, memory, *sums in rows}


def used_since(connection: apsw.Connection, scope: Scope, begin: int, init_billed: bool) -> dict[str, Usage]:
    """What each subject of a scope used, from a moment on, in seconds since the epoch."""
    subject = {
        "app": "''", "function": "function", "tenant": "tenant", "tag": _TAG
    }[scope.kind]  # fmt: skip
    hour = -(-begin // 3600)
    sources = [(_DAYS, hour, FOREVER)]
    if begin % 3600:
        sources.append((_PART, begin * 1000, hour * HOUR_MS))
    used: dict[str, Usage] = {}
    for source, first, end in sources:
        query = f"SELECT {subject}, {_usage(init_billed)} FROM {source} GROUP BY 1"
        for found, *sums in _rows(connection, query, {"begin": first, "end": end, "tag": scope.tag}):
            if scope.kind == "app" or (found and scope.value in (EACH, found)):
                used[found] = used.get(found, Usage()) + Usage(*sums)
    return used


class Used(NamedTuple):
    """What a function used for a tenant, within a day of any zone that `moment` is in, in seconds since the epoch."""

    function: str
    tenant: str | None
    tags: Mapping[str, str]
    moment: float
    usage: Usage


def used_by_rows(connection: apsw.Connection, last: int, init_billed: bool) -> Iterator[Used]:
    """What the rows behind the one with this id used."""
    query = f"SELECT function, tenant, tags, quarter, {_usage(init_billed)} FROM {_NEW} GROUP BY 1, 2, 3, 4"
    for function, tenant, tags, quarter, *sums in _rows(connection, query, {"last": last}):
        yield Used(function, tenant or None, json.loads(tags), quarter * QUARTER_MS / 1000, Usage(*sums))


class Extent(NamedTuple):
    """The first and the last day of what is in the ledger."""

    first: dt.date
    last: dt.date


def extent(connection: apsw.Connection) -> Extent | None:
    """The days of which there is something; None of an empty ledger."""
    first, last = connection.execute("SELECT min(hour), max(hour) FROM hourly").get
    if first is None:
        return None
    return Extent(EPOCH + dt.timedelta(days=first // DAY), EPOCH + dt.timedelta(days=last // DAY))


def functions(connection: apsw.Connection) -> list[str]:
    """The functions that the ledger knows."""
    return [str(name) for (name,) in connection.execute("SELECT DISTINCT function FROM kinds ORDER BY 1")]


def _rows(connection: apsw.Connection, query: str, values: Mapping[str, str | int]) -> list[Any]:
    return connection.execute(query, dict(values)).fetchall()


def _span(begin: dt.date, end: dt.date) -> dict[str, str | int]:
    return {"begin": DAY * (begin - EPOCH).days, "end": DAY * (end - EPOCH).days}


def _usage(init_billed: bool, memory: str = "memory_mb") -> str:
    """The fields of `Usage`, from sums of hours."""
    billed = "billed_ms" if init_billed else "handler_ms"
    return f"""
        sum(invocations), sum(iif(outcome = 'success', 0, invocations)), sum(requests),
        sum(iif(provisioned, 0, {memory} * {billed})), sum(iif(provisioned, {memory} * {billed}, 0)),
        sum({memory} * reserved_ms), sum((storage_mb - {INCLUDED_STORAGE}) * {billed}),
        sum(cpu_us), sum(resident_mb_ms), sum(unmeasured)
    """


def _memory(sizes: Mapping[str, int]) -> tuple[str, dict[str, str | int]]:
    """The memory that functions might have had."""
    others = ":others" if "" in sizes else "memory_mb"
    named = [(name, mb) for name, mb in sizes.items() if name]
    if not named:
        return others, {"others": sizes.get("", 0)}
    whens = " ".join(f"WHEN :name{number} THEN :size{number}" for number in range(len(named)))
    values: dict[str, str | int] = {"others": sizes.get("", 0)}
    for number, (name, mb) in enumerate(named):
        values |= {f"name{number}": name, f"size{number}": mb}
    return f"CASE function {whens} ELSE {others} END", values


def _group(by: str) -> tuple[str, dict[str, str | int]]:
    if by.startswith("tag:") and len(by) > 4:
        return _TAG, {"tag": by.removeprefix("tag:")}
    if by not in GROUPS:
        raise ConfigurationError(
            f"a bill is divided by {', '.join(GROUPS)} or tag:NAME, and not by {by!r}{nearest(by, GROUPS)}"
        )
    return GROUPS[by], {}


def _name(by: str, group: str) -> str:
    if by == "tag":
        return " ".join(f"{name}={text}" for name, text in json.loads(group).items()) or "(no tags)"
    return group or f"(no {by.removeprefix('tag:')})"
