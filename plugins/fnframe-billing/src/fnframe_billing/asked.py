"""What commands ask of a ledger: which app's, of which days, by which prices."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from fnframe import ConfigurationError
from fnframe.commands import UsageError, place_of

from .advice import Advice, advised
from .bill import Bill, Cell, make_bill
from .billing import next_month
from .book import PriceBook, find_book
from .focus import Version, to_focus
from .hours import Extent, cells, extent, used_by_memory, uses
from .ledger import Ledger
from .rows import peaks
from .schema import MEMORY

if TYPE_CHECKING:
    import apsw

    from .settings import Settings


class Days(NamedTuple):
    """From `begin` until before `end`."""

    begin: dt.date
    end: dt.date


class Asked(NamedTuple):
    """An app's ledger, open to be read, and the settings by which it is billed."""

    app: str
    ledger: Ledger
    connection: apsw.Connection
    settings: Settings
    directory: Path
    book: PriceBook

    def go_on(self) -> None:
        """Have all that was written until now among the rows."""
        self.ledger.settle_all(self.connection)

    def bill(self, days: Days, by: str) -> Bill:
        """The bill of these days, divided by what is asked. Raises `ConfigurationError`."""
        return make_bill(self.book, self.cells(days, by), *days, by=by, free_tier=self.settings.free_tier)

    def cells(self, days: Days, by: str) -> list[Cell]:
        """What each group used on each of these days."""
        return list(cells(self.connection, *days, by=by, init_billed=self.book.init_billed))

    def extent(self) -> Extent | None:
        """The days of which the ledger has something."""
        return extent(self.connection)

    def focus(self, days: Days, version: Version) -> str:
        """The bill of these days in the form of FOCUS."""
        used = uses(self.connection, *days, init_billed=self.book.init_billed)
        return to_focus(self.app, self.book, used, free_tier=self.settings.free_tier, version=version)

    def largest_peaks(self, days: Days) -> dict[str, int]:
        """The largest peak of each function in these days, in MB."""
        found = peaks(self.connection, *(dt.datetime.combine(day, dt.time(), dt.UTC) for day in days))
        return {name: max(each.largest for each in mine) for name, mine in groupby(found, lambda each: each.function)}

    def advice(self, days: int) -> list[Advice]:
        """What is advised by so many days until now."""
        begin = now() - dt.timedelta(days=days)
        found = peaks(self.connection, begin, now())
        used = used_by_memory(self.connection, begin, init_billed=self.book.init_billed)
        return advised(found, used, self.book)


@contextmanager
def ledger_of(target: str, overrides: Mapping[str, object]) -> Iterator[Asked]:
    """Open the ledger of an app. Raises `ConfigurationError` where there is none."""
    place = place_of(target, "billing", overrides)
    settings = cast("Settings", place.settings)
    path = settings.path(place.directory)
    if path == MEMORY:
        raise ConfigurationError(
            "this app keeps its ledger in memory: ask it with running.billing.summary() as it runs"
        )
    if not Path(path).exists():
        raise ConfigurationError(
            "there is no ledger yet: it comes into being with the first invocation of an app that runs "
            "(by `fnframe run`, say; `fnframe invoke` alone begins none, unless [billing] has a setting)",
            where=str(path),
        )
    book = find_book(settings.price, place.directory)
    with Ledger(path) as ledger, closing(ledger.reader()) as connection:
        (app,) = connection.execute("SELECT name FROM app").fetchone() or ("",)
        yield Asked(str(app) or place.directory.name, ledger, connection, settings, place.directory, book)


def month_of(text: str | None) -> Days:
    """The days of a month, `2026-11`; of this one by default. Raises `UsageError`."""
    if text is None:
        begin = today().replace(day=1)
    elif not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) or not "0001" <= text < "9999":
        raise UsageError(f"expected --month YEAR-MONTH, such as 2026-11, found {text!r}")
    else:
        begin = dt.date.fromisoformat(f"{text}-01")
    return Days(begin, next_month(begin))


def today() -> dt.date:
    """The day in UTC, which bills count by."""
    return now().date()


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)
