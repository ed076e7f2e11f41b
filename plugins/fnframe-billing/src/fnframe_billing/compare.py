"""What it would cost otherwise: with other prices, or with other memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fnframe.commands import UsageError, aligned
from fnframe.errors import nearest

from .amounts import change, decimals_for, money, paid, shown
from .bill import Bill, make_bill
from .book import find_book
from .hours import cells, functions
from .table import Styled, period_text, short

if TYPE_CHECKING:
    from .asked import Asked, Days


class WhatIf(NamedTuple):
    """Another price book by its name, and memory in MB by functions' names, `""` for all others."""

    price: str | None
    memory: Mapping[str, int]


def what_if(assumptions: Sequence[str]) -> WhatIf:
    """Read `price=BOOK`, `memory=MB` and `memory=FUNCTION:MB`. Raises `UsageError`."""
    price, memory = None, {}
    for assumption in assumptions:
        kind, _, value = assumption.partition("=")
        function, _, size = value.rpartition(":")
        if kind == "price" and value:
            price = value
        elif kind == "memory" and re.fullmatch("[0-9]{1,6}", size) and int(size) > 0:
            memory[function] = int(size)
        else:
            raise UsageError(
                "expected --what-if price=BOOK, memory=MB or memory=FUNCTION:MB, such as memory=thumbnail:256; found "
                f"{assumption!r}"
            )
    return WhatIf(price, memory)


def other_bill(asked: Asked, days: Days, by: str, assumed: WhatIf) -> Bill:
    """The bill of the same use under other assumptions. Raises `ConfigurationError` and `UsageError`."""
    book = asked.book if assumed.price is None else find_book(assumed.price, asked.directory)
    if book.currency != asked.book.currency:
        raise UsageError(f"the price books have different currencies: {asked.book.currency} and {book.currency}")
    known = functions(asked.connection)
    for name in assumed.memory:
        if name and name not in known:
            raise UsageError(f"the ledger knows no function {name!r}{nearest(name, known)}")
    used = cells(asked.connection, *days, by=by, init_billed=book.init_billed, memory=assumed.memory)
    return make_bill(book, used, *days, by=by, free_tier=asked.settings.free_tier)


def comparison_lines(now: Bill, then: Bill, assumed: WhatIf, app: str, peaks: Mapping[str, int]) -> Iterator[Styled]:
    """Both bills side by side. `peaks` are the functions' largest measured peaks in MB."""
    yield f"{app}, {period_text(now.begin, now.end)}: what if {_told(assumed)}", "bold"
    yield f"now {now.book.title} (price book {now.book.name} {now.book.version}), {now.book.currency}", "dim"
    if then.book != now.book:
        yield f"then {then.book.title} (price book {then.book.name} {then.book.version})", "dim"
    yield "", ""
    decimals = max(decimals_for(now.list_cost), decimals_for(then.list_cost))
    after = {line.group: line.list_cost for line in then.lines}
    total, costs = shown(now.list_cost, [line.list_cost for line in now.lines], decimals)
    other, others = shown(then.list_cost, [after[line.group] for line in now.lines], decimals)
    rows = [[now.by, "now", "then", "change"]]
    for line, cost, instead in zip(now.lines, costs, others, strict=True):
        rows.append([short(line.group), money(cost), money(instead), change(line.list_cost, after[line.group])])
    rows.append(["", money(total), money(other), change(now.list_cost, then.list_cost)])
    owed = [paid(shown(bill.cost, [], decimals)[0]) for bill in (now, then)]
    rows.append(["to pay, after the free tier", *owed, change(now.cost, then.cost)])
    head, *body, sum_, last = aligned(rows, right=(1, 2, 3))
    yield head, "bold"
    for row in body:
        yield row, ""
    yield "─" * len(head), "dim"
    yield sum_, "bold"
    yield last, "bold"
    yield from _doubts(assumed, peaks)


def _told(assumed: WhatIf) -> str:
    sizes = [f"{name or 'memory'} is {mb:,} MB" for name, mb in assumed.memory.items()]
    return " and ".join(sizes + ([f"prices are {assumed.price}"] if assumed.price else []))


def _doubts(assumed: WhatIf, peaks: Mapping[str, int]) -> Iterator[Styled]:
    """What the comparison does not tell."""
    if not assumed.memory:
        return
    yield "", ""
    for name, peak in peaks.items():
        size = assumed.memory.get(name, assumed.memory.get(""))
        if size is not None and peak > size:
            yield f"{name} used up to {peak:,} MB: {size:,} MB would end it", "bold red"
    yield "times are taken as they were; on Lambda, less memory is also less processor time", "dim"
