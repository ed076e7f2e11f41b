"""Quantities and money as a person reads them. What is shown sums to the total that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from .money import UNIT, divide
from .usage import METERS

LEVELS = "·▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉"


def decimals_for(total: int) -> int:
    """How many decimals of the currency show four digits of a total; cents at least."""
    return min(12, max(2, 16 - len(str(total)))) if total else 2


def shown(total: int, parts: Sequence[int], decimals: int) -> tuple[Decimal, list[Decimal]]:
    """A total and its parts in the currency itself, rounded so that the parts still sum to it."""
    step = UNIT // 10**decimals
    whole = round(Decimal(total) / step)
    return Decimal(whole).scaleb(-decimals), [Decimal(part).scaleb(-decimals) for part in divide(whole, parts)]


def money(amount: Decimal) -> str:
    """`0.000003589`, `1,234.50`."""
    return f"{amount:,f}"


def paid(amount: Decimal) -> str:
    """The same of what is to pay: nothing has two decimals."""
    return money(amount) if amount else "0.00"


def price(amount: Decimal) -> str:
    """A price as the book says it, with cents at least: `0.20`, `0.0000166667`."""
    decimals = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{amount:,.{decimals}f}"


def quantity(used: int, meter: str = "compute") -> str:
    """`13`, `0.0803`, `12.50`, `1,100,000`, in the meter's units."""
    value = Decimal(used) / METERS[meter].base
    if value >= 100 or meter == "requests" or not value:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if value >= 10 else f"{value:.4f}"


def percent(part: int, whole: int) -> str:
    """`12.3 %`."""
    return f"{Decimal(100 * part) / whole:.1f} %" if whole else "-"


def change(before: int, after: int) -> str:
    """`-71 %`, `+5 %`, `0 %` where nothing changes."""
    if not before:
        return "-" if after else "0 %"
    rounded = round(Decimal(100 * (after - before)) / before)
    return f"{rounded:+d} %" if rounded else "0 %"


def trend(values: Sequence[int], width: int) -> str:
    """Values in their order as bars of at most `width` characters, each the mean of as many. What is there is seen."""
    step = max(1, -(-len(values) // width))
    parts = [values[begin : begin + step] for begin in range(0, len(values), step)]
    means = [-(-sum(part) // len(part)) for part in parts]
    most = max(means, default=0) or 1
    return "".join(LEVELS[-(-8 * mean // most)] for mean in means)


def bar(value: int, most: int, width: int) -> str:
    """One value as a bar across, of at most `width` characters."""
    eighths = -(-8 * width * value // most) if most else 0
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()
