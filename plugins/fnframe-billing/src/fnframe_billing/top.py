"""What an app's functions do now: read from the ledger, into which the running app writes."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fnframe.commands import aligned, duration

from .amounts import decimals_for, money, shown
from .asked import month_of
from .rows import Row, last_row, rows_after
from .table import short

if TYPE_CHECKING:
    from .asked import Asked
    from .table import Styled

MOST_BEFORE = 100_000
"""Rows that are looked at for what happened before the first look."""


class Lately(NamedTuple):
    """A function's invocations within the window."""

    per_second: float
    failed: int
    p50_ms: float
    p99_ms: float
    peak_mb: int | None
    memory_mb: int


class Window:
    """The invocations that ended in the last `seconds`."""

    def __init__(self, asked: Asked, seconds: float) -> None:
        self._asked = asked
        self._seconds = seconds
        self._rows: deque[Row] = deque()
        self._last = max(0, last_row(asked.connection) - MOST_BEFORE)

    def look(self, now: dt.datetime) -> dict[str, Lately]:
        """What each function did until now."""
        begin = (now.timestamp() - self._seconds) * 1000
        for row in rows_after(self._asked.connection, self._last):
            self._last = row.id
            self._rows.append(row)
        self._rows = deque(row for row in self._rows if row.ended_ms >= begin)
        by_function: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows:
            by_function[row.function].append(row)
        return {name: self._lately(rows) for name, rows in by_function.items()}

    def _lately(self, rows: Sequence[Row]) -> Lately:
        times = sorted(row.duration_us / 1000 for row in rows)
        peaks = [row.peak_kb for row in rows if row.peak_kb is not None]
        return Lately(
            len(rows) / self._seconds,
            sum(row.outcome != "success" for row in rows),
            quantile(times, 0.5),
            quantile(times, 0.99),
            -(-max(peaks) // 1024) if peaks else None,
            max(row.memory_mb for row in rows),
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """What so many of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def screen(asked: Asked, window: Window, seconds: float, now: dt.datetime, height: int) -> Iterator[Styled]:
    """Everything that is shown at one moment, in at most `height` lines."""
    asked.go_on()
    bill = asked.bill(month_of(None), "function")
    lately = window.look(now)
    decimals = decimals_for(bill.list_cost)
    total, costs = shown(bill.list_cost, [line.list_cost for line in bill.lines], decimals)
    named = sorted(
        zip((line.group for line in bill.lines), costs, strict=True),
        key=lambda item: (-lately[item[0]].per_second if item[0] in lately else 0.0, -item[1]),
    )
    rows = [["function", "per s", "failed", "p50", "p99", "peak memory", f"month, {asked.book.currency}"]]
    rows += [[short(name), *_figures(lately.get(name)), money(cost)] for name, cost in named[: max(1, height - 6)]]
    all_ = lately.values()
    rows.append(
        ["", f"{sum(each.per_second for each in all_):,.1f}", f"{sum(each.failed for each in all_):,}", "", "", "",
         money(total)]
    )  # fmt: skip
    head, *body, foot = aligned(rows, right=range(1, 7))
    yield f"{asked.app}, the last {seconds:g} s, {now:%Y-%m-%d %H:%M:%S} UTC", "bold"
    yield "", ""
    yield head, "bold"
    for line, (name, _) in zip(body, named, strict=False):
        yield line, "" if name in lately else "dim"
    yield "─" * len(head), "dim"
    yield foot, "bold"


def _figures(lately: Lately | None) -> list[str]:
    if lately is None:
        return ["-", "", "", "", ""]
    peak = "?" if lately.peak_mb is None else f"{lately.peak_mb:,}"
    times = [duration(milliseconds) for milliseconds in (lately.p50_ms, lately.p99_ms)]
    return [f"{lately.per_second:,.1f}", f"{lately.failed:,}", *times, f"{peak}/{lately.memory_mb:,} MB"]
