"""What the ledger answers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
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
    connection: apsw.Connection, begin: dt.date, end: dt.date, *, by: str = "function", init_billed: bool = True
) -> Iterator[Cell]:
    """What each group used on each day from `begin` until before `end`, from the hours.

    Raises `ConfigurationError` for what there is no group by.
    """
    group, values = _group(by)
    rows = connection.execute(
        f"SELECT hour / 24, {group}, {_usage(init_billed)} FROM {_HOURS} WHERE hour >= ? AND hour < ? "
        "GROUP BY 1, 2 ORDER BY 1, 2",
        (*values, 24 * (begin - EPOCH).days, 24 * (end - EPOCH).days),
    )
    for day, found, *sums in rows:
        yield Cell(EPOCH + dt.timedelta(days=day), _name(by, found), Usage(*sums))


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
