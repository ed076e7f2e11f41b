"""Price books: what a unit costs, as versioned data."""

from __future__ import annotations

import difflib
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from fnframe import ConfigurationError

from .usage import METERS

BOOKS = Path(__file__).parent / "books"

DEFAULT = "lambda-x86"


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price that holds for the month's use up to `up_to` units; for all that is left without it."""

    price: Decimal
    up_to: int | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `per` units of a meter cost, by one `price` or by `tiers` over a month's use; `free` units cost nothing."""

    meter: str
    price: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    per: int = 1
    free: int = 0

    def steps(self) -> tuple[Tier, ...]:
        """The tiers; one price is a tier without an end."""
        return self.tiers if self.price is None else (Tier(self.price),)


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine of one's own: `cpu_share` of its `per_hour` pays its cores, the rest its memory."""

    per_hour: Decimal
    cores: Decimal
    memory_gb: Decimal
    cpu_share: Decimal = Decimal("0.5")

    def prices(self) -> tuple[Price, ...]:
        """Per hour of a core's time and of a GB of memory."""
        of_memory = self.per_hour * (1 - self.cpu_share) / self.memory_gb
        return (
            Price("cpu", self.per_hour * self.cpu_share / self.cores, per=3600),
            Price("memory", of_memory, per=3600),
        )


class PriceBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price book, as its file says it; see the plugin's README for the format.

    `init_billed` says whether a cold start's time is billed with its invocation, as Lambda does since August 2025.
    """

    name: str
    version: str
    title: str
    currency: str
    source: str = ""
    init_billed: bool = True
    prices: tuple[Price, ...] = ()
    machine: Machine | None = None

    def price_list(self) -> tuple[Price, ...]:
        """All prices, those of the machine included."""
        return self.prices + (self.machine.prices() if self.machine else ())


def find_book(name: str, directory: Path) -> PriceBook:
    """The price book that comes with the plugin under this name, or that of a file (`prices.toml`), whose path counts
    from `directory`. Raises `ConfigurationError`."""
    if name.endswith(".toml"):
        return read_book(directory / name)
    known = sorted(path.stem for path in BOOKS.glob("*.toml"))
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ";"
        raise ConfigurationError(
            f"there is no price book {name!r}{hint} known are {', '.join(known)}, and any file that ends in .toml"
        )
    return read_book(BOOKS / f"{name}.toml")


def read_book(path: Path) -> PriceBook:
    """The price book in this file. Raises `ConfigurationError` that says what is wrong in it."""
    import tomllib

    try:
        values = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
        book = msgspec.convert(values, PriceBook)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"this price book cannot be read: {error}", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"this price book is not valid TOML: {error}", where=str(path)) from None
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"this price book is wrong: {error}", where=str(path)) from None
    _Check(path).book(book)
    return book


class _Check:
    """What a type cannot say of a price book. Raises `ConfigurationError` at the first thing that is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def book(self, book: PriceBook) -> None:
        if len(book.currency) != 3 or not book.currency.isalpha() or not book.currency.isupper():
            self._refuse("currency must be a code of ISO 4217 such as 'USD'", book.currency)
        if not book.prices and book.machine is None:
            self._refuse("there must be [[prices]] or a [machine]", "neither")
        for number, price in enumerate(book.prices):
            self._price(f"prices[{number}]", price)
        if book.machine is not None:
            self._machine(book.machine)
        meters = [price.meter for price in book.price_list()]
        for meter in meters:
            if meters.count(meter) > 1:
                self._refuse(f"the meter {meter!r} must have one price", f"{meters.count(meter)} of them")

    def _price(self, place: str, price: Price) -> None:
        if price.meter not in METERS:
            self._refuse(f"{place}.meter must be one of {', '.join(METERS)}", price.meter)
        if (price.price is None) == (not price.tiers):
            self._refuse(f"{place} must have either a price or tiers", "both" if price.tiers else "neither")
        if price.per < 1:
            self._refuse(f"{place}.per must be at least 1", price.per)
        if price.free < 0:
            self._refuse(f"{place}.free must not be negative", price.free)
        before = 0
        *ending, last = price.steps()
        for number, tier in enumerate(price.steps()):
            label = f"{place}.tiers[{number}].price" if price.tiers else f"{place}.price"
            self._amount(label, tier.price)
        for number, tier in enumerate(ending):
            if tier.up_to is None or tier.up_to <= before:
                self._refuse(f"{place}.tiers[{number}].up_to must be more than {before:,}", tier.up_to)
            before = tier.up_to
        if last.up_to is not None:
            self._refuse(f"the last of {place}.tiers must have no up_to: it holds for all that is left", last.up_to)

    def _machine(self, machine: Machine) -> None:
        self._amount("machine.per_hour", machine.per_hour)
        for name, value in (("cores", machine.cores), ("memory_gb", machine.memory_gb)):
            if not value.is_finite() or value <= 0:
                self._refuse(f"machine.{name} must be more than 0", value)
        if not 0 <= machine.cpu_share <= 1:
            self._refuse("machine.cpu_share must lie between 0 and 1", machine.cpu_share)

    def _amount(self, place: str, amount: Decimal) -> None:
        if not amount.is_finite() or amount < 0:
            self._refuse(f"{place} must be a number and not negative", amount)

    def _refuse(self, expected: str, found: Any) -> NoReturn:
        raise ConfigurationError(f"this price book is wrong: {expected}, found {found}", where=str(self._path))
