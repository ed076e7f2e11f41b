"""Tests of numbers. They are EventBridge's: those that a double holds exactly, and the rest equal themselves only."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..event import encode_json
from .reasons import TOO_MANY_ELEMENTS, Invalid

NUMBERS = (int, float)
"""Exact types: for Python a truth value is a number too."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}

EXACT = 2**53
"""Up to here a double holds every whole number."""


def in_range(terms: Any) -> Callable[[Any], bool]:
    """Whether a number lies in the range that `["<", 5]` or `[">=", 0, "<", 5]` describes. Raises `Invalid`."""
    if not isinstance(terms, list):
        raise Invalid("Value of numeric must be an array.")
    sign = terms[0] if terms else "]"
    if not terms or not isinstance(sign, str):
        raise Invalid(f"Invalid member in numeric match: {_shown(sign)}")
    if sign not in _COMPARE:
        raise Invalid(f"Unrecognized numeric range operator: {sign}")
    bounds = [(_COMPARE[sign], _bound("equals" if sign == "=" else sign, terms[1:2]))]
    if len(terms) > 2:
        if sign not in (">", ">="):
            raise Invalid(TOO_MANY_ELEMENTS)
        bounds.append(_upper(terms[2:]))
        if not bounds[0][1] < bounds[1][1]:
            raise Invalid("Bottom must be less than top")

    def test(value: Any) -> bool:
        if type(value) not in NUMBERS:
            return False
        for compare, bound in bounds:
            if not compare(value, bound):
                return False
        return is_comparable(value)

    return test


def checked(number: Any) -> Any:
    """A number of a pattern. Raises `Invalid` for one that no double holds."""
    if not is_comparable(number):
        raise Invalid(f"Cannot compare number : {number}")
    return number


def is_comparable(number: float) -> bool:
    """Whether a double holds the number exactly."""
    if type(number) is float or -EXACT <= number <= EXACT:
        return True
    try:
        return float(number) == number
    except OverflowError:
        return False


def _upper(terms: list[Any]) -> tuple[Callable[[Any, Any], bool], Any]:
    sign = terms[0]
    if not isinstance(sign, str):
        raise Invalid(f"Bad value in numeric range: {_shown(sign)}")
    if sign not in ("<", "<="):
        raise Invalid(f"Bad numeric range operator: {sign}")
    bound = _bound(sign, terms[1:2])
    if len(terms) > 2:
        raise Invalid("Too many terms in numeric range expression")
    return _COMPARE[sign], bound


def _bound(name: str, terms: list[Any]) -> Any:
    if not terms or type(terms[0]) not in NUMBERS:
        raise Invalid(f"Value of {name} must be numeric")
    return checked(terms[0])


def _shown(value: Any) -> str:
    """As a reader of JSON that goes token by token names what it found."""
    if isinstance(value, (list, dict)):
        return "[" if isinstance(value, list) else "{"
    return value if isinstance(value, str) else encode_json(value).decode()
