"""How money is divided: to the last unit, and to nobody's disadvantage by more than one."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from fnframe_billing.money import decimal, divide
from hypothesis import given
from hypothesis import strategies as st

weights = st.lists(st.integers(0, 10**18), max_size=30)


@given(st.integers(0, 10**20), weights)
def test_parts_sum_to_the_whole_and_each_is_next_to_its_exact_share(total, weights):
    parts = divide(total, weights)
    whole = sum(weights)
    assert len(parts) == len(weights)
    assert sum(parts) == (total if whole else 0)
    for part, weight in zip(parts, weights, strict=True):
        assert not whole or abs(part - Fraction(total * weight, whole)) < 1


@given(st.integers(0, 10**6), weights)
def test_who_has_more_gets_no_less(total, weights):
    ordered = sorted(weights)
    assert divide(total, ordered)[::-1] == sorted(divide(total, ordered), reverse=True) or len(set(ordered)) < len(
        ordered
    )


def test_the_largest_remainders_get_what_is_left():
    assert divide(10, [1, 1, 1]) == [4, 3, 3]
    assert divide(7, [3, 3, 1]) == [3, 3, 1]
    assert divide(100, [1, 2, 4]) == [14, 29, 57]
    assert divide(5, [0, 0]) == [0, 0]


def test_an_amount_in_the_currency_is_exact():
    assert decimal(2_083_337_500_000) == Decimal("2.0833375")
    assert decimal(1) == Decimal("0.000000000001")
