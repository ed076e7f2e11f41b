"""The bill: what a period's use costs, and who caused how much of it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from .book import PriceBook
from .pricing import Charge, charges, list_price, shares
from .usage import Usage


class Cell(NamedTuple):
    """What one group used on one day (UTC)."""

    day: dt.date
    group: str
    usage: Usage


class Line(msgspec.Struct, frozen=True):
    """A group's part of the bill. `by_day` is what each of its days costs at list price, for a trend."""

    group: str
    usage: Usage
    list_cost: int
    cost: int
    by_day: dict[dt.date, int]


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What was used from `begin` until before `end` (days in UTC), at the prices of a book.

    Money is in 1e-12 of the currency. The lines sum to the totals, and so do the charges: `list_cost` is the total
    without the free tier, `cost` what is to pay.
    """

    book: PriceBook
    begin: dt.date
    end: dt.date
    by: str
    lines: tuple[Line, ...]
    charges: tuple[Charge, ...]
    usage: Usage
    list_cost: int
    cost: int


def make_bill(
    book: PriceBook, cells: Iterable[Cell], begin: dt.date, end: dt.date, *, by: str, free_tier: bool = True
) -> Bill:
    """Price each calendar month by itself, with its own tiers and free tier, and divide what it costs; see `shares`."""
    months: dict[tuple[int, int], dict[str, Usage]] = defaultdict(dict)
    by_day: dict[str, dict[dt.date, int]] = defaultdict(dict)
    for day, group, usage in cells:
        month = months[day.year, day.month]
        month[group] = month.get(group, Usage()) + usage
        by_day[group][day] = by_day[group].get(day, 0) + round(list_price(book, usage))
    listed: dict[str, int] = defaultdict(int)
    owed: dict[str, int] = defaultdict(int)
    found: list[Charge] = []
    for groups in months.values():
        of_month = charges(book, sum(groups.values(), Usage()), free_tier=free_tier)
        found += of_month
        for charge in of_month:
            for group, share in zip(groups, shares(book, charge, list(groups.values())), strict=True):
                listed[group] += share.list_cost
                owed[group] += share.cost
    lines = [
        Line(group, _total(months.values(), group), listed[group], owed[group], days) for group, days in by_day.items()
    ]
    return Bill(
        book=book,
        begin=begin,
        end=end,
        by=by,
        lines=tuple(sorted(lines, key=lambda line: (line.group if by == "day" else "", -line.list_cost, line.group))),
        charges=_merged(found),
        usage=sum((line.usage for line in lines), Usage()),
        list_cost=sum(charge.list_cost for charge in found),
        cost=sum(charge.cost for charge in found),
    )


def _total(months: Iterable[Mapping[str, Usage]], group: str) -> Usage:
    return sum((month[group] for month in months if group in month), Usage())


def _merged(found: Iterable[Charge]) -> tuple[Charge, ...]:
    """One charge for each meter and tier, over all months."""
    merged: dict[tuple[str, int], Charge] = {}
    for charge in found:
        before = merged.get((charge.meter, charge.tier))
        merged[charge.meter, charge.tier] = charge if before is None else before + charge
    return tuple(merged.values())
