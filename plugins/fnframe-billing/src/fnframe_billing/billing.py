"""What a program can ask of the bill of its running app."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from anyio.to_thread import run_sync

from fnframe import Report

from .bill import Bill, make_bill
from .figures import usage_of
from .hours import cells
from .money import UNIT
from .pricing import list_price
from .usage import GB_S

if TYPE_CHECKING:
    from fnframe import Failure, Success

    from .book import PriceBook
    from .ledger import Ledger


class Cost(msgspec.Struct, frozen=True):
    """What one invocation costs at list price: at the first tier's prices and without a free tier, which are a month's
    and not an invocation's. `amount` is exact to 28 digits and in `currency`; `book` is the price book's name and
    version."""

    amount: Decimal
    currency: str
    billed_ms: int
    gb_seconds: Decimal
    requests: int
    book: str


class Billing:
    """`running.billing`: what was used, and what it costs by the app's price book."""

    def __init__(
        self,
        ledger: Ledger,
        book: PriceBook,
        free_tier: bool = True,
        flush: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._flush = flush
        self.book = book
        self.free_tier = free_tier

    def cost(self, result: Success | Failure | Report) -> Cost:
        """What an invocation costs, given its outcome or its report; nothing, if it never ran."""
        report = result if isinstance(result, Report) else result.report
        usage = usage_of(report, init_billed=self.book.init_billed)
        exact = list_price(self.book, usage) / UNIT
        mb_ms = usage.mb_ms + usage.provisioned_mb_ms
        return Cost(
            amount=Decimal(exact.numerator) / Decimal(exact.denominator),
            currency=self.book.currency,
            billed_ms=mb_ms // report.memory_size_mb,
            gb_seconds=Decimal(mb_ms) / GB_S,
            requests=usage.requests,
            book=f"{self.book.name} {self.book.version}",
        )

    async def summary(self, by: str = "function", *, begin: dt.date | None = None, end: dt.date | None = None) -> Bill:
        """The bill from `begin` until before `end`, days in UTC; by default of the month that it is now.

        `by` divides it: "function", "trigger", "tenant", "tag", "tag:NAME", "day", "memory" or "outcome". What came
        to its end before the call is in it. Raises `ConfigurationError`.
        """
        if self._flush is not None:
            await self._flush()
        today = dt.datetime.now(dt.UTC).date()
        begin = begin or today.replace(day=1)
        return await run_sync(partial(self.bill, by, begin=begin, end=end or next_month(begin)))

    def bill(self, by: str = "function", *, begin: dt.date, end: dt.date) -> Bill:
        """The same from what is written already, without waiting for an event loop."""
        if not self._ledger.exists():
            return make_bill(self.book, (), begin, end, by=by)
        connection = self._ledger.reader()
        try:
            used = cells(connection, begin, end, by=by, init_billed=self.book.init_billed)
            return make_bill(self.book, used, begin, end, by=by, free_tier=self.free_tier)
        finally:
            connection.close()


def next_month(day: dt.date) -> dt.date:
    """The first day of the month after."""
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
