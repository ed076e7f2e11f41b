"""From what was used to what it costs. Exact fractions inside, whole units of money outside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from .book import Price, PriceBook
from .money import UNIT, divide
from .usage import METERS, Usage

FREE = 0
"""The tier of what the month's free tier covers."""


class Charge(msgspec.Struct, frozen=True):
    """What one meter's use costs at one price.

    `quantity` is in the meter's small units; `price` is what `per` of its units cost. `cost` is what is to pay, and
    `list_cost` what it would be if nothing were free: in the tier `FREE`, what its use costs at the first tier's price.
    Both are in 1e-12 of the currency.
    """

    meter: str
    tier: int
    quantity: int
    price: Decimal
    per: int
    list_cost: int
    cost: int

    def __add__(self, other: Charge) -> Charge:
        """The same meter and tier in two months."""
        return msgspec.structs.replace(
            self,
            quantity=self.quantity + other.quantity,
            list_cost=self.list_cost + other.list_cost,
            cost=self.cost + other.cost,
        )


class _Slice(NamedTuple):
    """A part of a meter's use that has one price, and what that makes."""

    meter: str
    tier: int
    quantity: int
    price: Decimal
    per: int
    exact: Fraction


def charges(book: PriceBook, usage: Usage, *, free_tier: bool = True) -> tuple[Charge, ...]:
    """What a calendar month's use costs. The free tier comes first, the tiers count what it leaves.

    The sum is rounded once, half to even, and what each charge has of it is found by largest remainder.
    """
    slices = [part for price in book.price_list() for part in _slices(price, quantity(book, price, usage), free_tier)]
    zero = Fraction(0)
    costs = _rounded([part.exact if part.tier != FREE else zero for part in slices])
    gifts = _rounded([part.exact if part.tier == FREE else zero for part in slices])
    return tuple(
        Charge(*part[:-1], list_cost=cost + gift, cost=cost)
        for part, cost, gift in zip(slices, costs, gifts, strict=True)
    )


def list_price(book: PriceBook, usage: Usage) -> Fraction:
    """What the use costs at the first tier's prices and without the free tier, in exact 1e-12 of the currency.

    It adds up: what two uses cost together is the sum of what each costs.
    """
    parts = (_slice(price, 1, price.steps()[0].price, quantity(book, price, usage)) for price in book.price_list())
    return sum((part.exact for part in parts), Fraction(0))


class Share(NamedTuple):
    """What one of several users of a charge has of it."""

    quantity: int
    list_cost: int
    cost: int


def shares(book: PriceBook, charge: Charge, usages: Sequence[Usage]) -> list[Share]:
    """Divide a charge among those whose usages make it up, in proportion to what they used of its meter: nobody has the
    free tier, or the cheapest tier, for himself."""
    price = next(price for price in book.price_list() if price.meter == charge.meter)
    weights = [quantity(book, price, usage) for usage in usages]
    parts = (divide(whole, weights) for whole in (charge.quantity, charge.list_cost, charge.cost))
    return [Share(*part) for part in zip(*parts, strict=True)]


def quantity(book: PriceBook, price: Price, usage: Usage) -> int:
    """How much a price is for. Where a book does not tell warm environments apart, they are compute like all others."""
    used = METERS[price.meter].quantity(usage)
    if price.meter == "compute" and not any(other.meter == "provisioned-compute" for other in book.prices):
        used += usage.provisioned_mb_ms
    return used


def _slices(price: Price, used: int, free_tier: bool) -> Iterator[_Slice]:
    base = METERS[price.meter].base
    free = min(used, price.free * base) if free_tier else 0
    if free:
        yield _slice(price, FREE, price.steps()[0].price, free)
    left, begin = used - free, 0
    for number, tier in enumerate(price.steps(), start=1):
        end = begin + left if tier.up_to is None else tier.up_to * base
        here = min(left, end - begin)
        if here:
            yield _slice(price, number, tier.price, here)
        left, begin = left - here, end


def _slice(price: Price, tier: int, amount: Decimal, used: int) -> _Slice:
    exact = Fraction(amount) * UNIT * used / (price.per * METERS[price.meter].base)
    return _Slice(price.meter, tier, used, amount, price.per, exact)


def _rounded(parts: list[Fraction]) -> list[int]:
    common = math.lcm(*(part.denominator for part in parts))
    return divide(round(sum(parts, Fraction(0))), [int(part * common) for part in parts])
