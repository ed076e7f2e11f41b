"""Money in whole units of 1e-12 of a currency, and how it is divided without losing one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

UNIT = 10**12
"""Units in one dollar, euro, ..."""


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `weights` into whole numbers that sum to it: by largest remainder.

    Where all weights are zero there is nothing to divide: all parts are zero. Neither may be negative.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % whole), n))
    for number in by_remainder[: total - sum(parts)]:
        parts[number] += 1
    return parts


def decimal(units: int) -> Decimal:
    """An amount in the currency itself, exact."""
    return Decimal(units).scaleb(-12)
