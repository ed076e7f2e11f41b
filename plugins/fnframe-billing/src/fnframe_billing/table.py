"""The bill as a person reads it, in 80 columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from fnframe.commands import aligned, printable

from .amounts import bar, decimals_for, money, paid, percent, price, quantity, shown, trend
from .bill import Line
from .pricing import FREE
from .usage import METERS, Usage

if TYPE_CHECKING:
    from .bill import Bill
    from .hours import Extent
    from .pricing import Charge

Styled = tuple[str, str]
"""A line, and how it looks."""

WIDTH = 80
LONGEST_NAME, SHORTEST_NAME, TAIL = 28, 16, 9
"""Characters of a name, those that it has at least where it must give way, and those that are kept of its end."""
MOST_LINES = 40
LEAST_TREND = 8
"""Characters that a trend and its heading need."""

LABELS = {
    "requests": "requests",
    "compute": "compute",
    "provisioned-compute": "compute, kept warm",
    "provisioned": "kept warm",
    "storage": "ephemeral storage",
    "cpu": "processor",
    "memory": "memory in use",
}


def bill_lines(bill: Bill, app: str, today: dt.date, extent: Extent | None = None) -> Iterator[Styled]:
    """The whole bill; where it is empty, the days of which there is something."""
    book = bill.book
    yield f"{app}, {period_text(bill.begin, bill.end)}", "bold"
    yield f"{book.title} (price book {book.name} {book.version}), {book.currency}", "dim"
    yield "", ""
    if not bill.lines:
        yield f"nothing was used{f'; the ledger has {extent.first} to {extent.last}' if extent else ''}", ""
        return
    decimals = decimals_for(bill.list_cost)
    yield from _groups(bill, decimals, today)
    yield "", ""
    yield from _charges(bill, decimals)


def period_text(begin: dt.date, end: dt.date) -> str:
    """`November 2026`, or the first and the last day."""
    last = end - dt.timedelta(days=1)
    if begin.day == 1 and end.day == 1 and (begin.year, begin.month) == (last.year, last.month):
        return f"{begin:%B %Y}"
    return f"{begin} to {last}"


def _groups(bill: Bill, decimals: int, today: dt.date) -> Iterator[Styled]:
    """A line for each group, and their sums."""
    lines = _cut(bill.lines)
    total, costs = shown(bill.list_cost, [line.list_cost for line in lines], decimals)
    rows = [[bill.by, "invocations", "failed", "GB-s", "cost", "share"]]
    for line, cost in zip(lines, costs, strict=True):
        share = percent(line.list_cost, bill.list_cost)
        rows.append([line.group, *_used(line.usage), money(cost), share])
    rows.append(["", *_used(bill.usage), money(total), ""])
    head, *body, foot = _beside_trends(rows)
    room = WIDTH - cell_len(head) - 2
    title, trends = _trends(bill, lines, today, room) if room >= LEAST_TREND else ("", [""] * len(lines))
    yield f"{head}  {title}".rstrip(), "bold"
    for row, drawn in zip(body, trends, strict=True):
        yield f"{row}  {drawn}".rstrip(), ""
    yield "─" * len(head), "dim"
    yield foot, "bold"


def _beside_trends(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows under each other; names give way to the trends that stand behind."""

    def under_each_other(most: int) -> list[str]:
        return aligned([[short(name, most), *figures] for name, *figures in rows], right=(1, 2, 3, 4, 5))

    lines = under_each_other(LONGEST_NAME)
    missing = cell_len(lines[0]) + 2 + LEAST_TREND - WIDTH
    if missing <= 0:
        return lines
    widest = max(cell_len(short(name)) for name, *_ in rows)
    return under_each_other(max(SHORTEST_NAME, widest - missing))


def _cut(lines: Sequence[Line]) -> list[Line]:
    """As many as a person reads; the cheapest are one."""
    if len(lines) <= MOST_LINES:
        return list(lines)
    kept, others = lines[: MOST_LINES - 1], lines[MOST_LINES - 1 :]
    by_day: dict[dt.date, int] = {}
    for line in others:
        for day, cost in line.by_day.items():
            by_day[day] = by_day.get(day, 0) + cost
    usage = sum((line.usage for line in others), Usage())
    cost, list_cost = sum(line.cost for line in others), sum(line.list_cost for line in others)
    return [*kept, Line(f"({len(others):,} others)", usage, list_cost, cost, by_day)]


def _used(usage: Usage) -> list[str]:
    return [f"{usage.invocations:,}", f"{usage.failures:,}", quantity(usage.mb_ms + usage.provisioned_mb_ms)]


def short(name: str, most: int = LONGEST_NAME) -> str:
    """A name as long as there is room for it: its middle gives way, since names often differ at their end."""
    text = printable(name)
    if cell_len(text) <= most:
        return text
    head, tail = set_cell_size(text, most - TAIL - 1), set_cell_size(text[::-1], TAIL)[::-1]
    return f"{head.rstrip()}…{tail.lstrip()}"


def _trends(bill: Bill, lines: Sequence[Line], today: dt.date, room: int) -> tuple[str, list[str]]:
    """Each group's days side by side; of days, how much each is of the most expensive."""
    if bill.by == "day":
        most = max(line.list_cost for line in lines)
        return "", [bar(line.list_cost, most, room) for line in lines]
    last = max(max(line.by_day) for line in lines)
    days = (min(bill.end - dt.timedelta(days=1), max(today, last)) - bill.begin).days + 1
    dates = [bill.begin + dt.timedelta(days=n) for n in range(days)]
    drawn = [trend([line.by_day.get(day, 0) for day in dates], room) for line in lines]
    title = f"by day, {dates[0].day} to {dates[-1].day}"
    return title if len(title) <= room and dates[0].month == dates[-1].month else "by day", drawn


def _charges(bill: Bill, decimals: int) -> Iterator[Styled]:
    """What it is for, what of it was free, and what is to pay."""
    priced = [list(each) for _, each in groupby(bill.charges, lambda charge: (charge.meter, charge.price))]
    total, costs = shown(bill.list_cost, [sum(charge.list_cost for charge in each) for each in priced], decimals)
    rows = [[*_amount(each), _price(each[0]), money(cost)] for each, cost in zip(priced, costs, strict=True)]
    free = [charge for charge in bill.charges if charge.tier == FREE]
    saved, gifts = shown(bill.list_cost - bill.cost, [charge.list_cost for charge in free], decimals)
    for number, (charge, gift) in enumerate(zip(free, gifts, strict=True)):
        _, amount, unit = _amount([charge])
        rows.append(["" if number else "free tier", amount, unit, _of_free(bill, charge), money(-gift)])
    rows.append(["to pay", "", "", "", paid(total - saved)])
    *body, last = aligned(rows, right=(1, 4))
    for row in body:
        yield row, ""
    yield "─" * len(last), "dim"
    yield f"{last} {bill.book.currency}", "bold"


def _amount(charges: Sequence[Charge]) -> list[str]:
    """What it is, how much of it, and in what."""
    meter = charges[0].meter
    return [LABELS[meter], quantity(sum(charge.quantity for charge in charges), meter), METERS[meter].unit]


def _price(charge: Charge) -> str:
    return f"at {price(charge.price)}" + (f" per {charge.per:,}" if charge.per > 1 else "")


def _of_free(bill: Bill, charge: Charge) -> str:
    """How much of the free tier is used up, of all months in which anything was used."""
    months = {(day.year, day.month) for line in bill.lines for day in line.by_day}
    free = len(months) * next(each.free for each in bill.book.price_list() if each.meter == charge.meter)
    return f"{percent(charge.quantity, free * METERS[charge.meter].base)} of {free:,}"
