"""What may stand in the array under a key of a pattern: plain values, and operators such as `{"prefix": "a"}`.

Each makes a test of one value of an event: a text, a number, True, False or None, never an object or an array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import addresses, texts
from .numeric import NUMBERS, checked, in_range
from .reasons import EMPTY_ARRAY, ONLY_ONE_KEY, TOO_MANY_ELEMENTS, Invalid

Test = Callable[[Any], bool]


class Alternatives(NamedTuple):
    """The array under a key: whether a value is one that it lists, and whether it lists that there is none."""

    test: Test
    absent: bool


def alternatives(members: list[Any]) -> Alternatives:
    """What an array of values and operators means. Raises `Invalid`."""
    if not members:
        raise Invalid(EMPTY_ARRAY)
    if any(isinstance(member, list) for member in members):
        raise Invalid("Match value must be String, number, true, false, or null")
    values = [member for member in members if not isinstance(member, dict)]
    tests = [_operator(member) for member in members if isinstance(member, dict)]
    tests += [same for value in values if type(value) is str and (same := addresses.same_address(value)) is not None]
    if values:
        tests.insert(0, _one_of(values))
    return Alternatives(_either([test for test in tests if test is not _is_absent]), _is_absent in tests)


def _one_of(values: list[Any]) -> Test:
    """Whether a value is among these, where 1 is not True."""
    of_numbers = frozenset(value for value in values if type(value) in NUMBERS)
    others = frozenset(value for value in values if type(value) not in NUMBERS)
    if not of_numbers and True not in others and False not in others:
        return others.__contains__
    return lambda value: value in (of_numbers if type(value) in NUMBERS else others)


def _either(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(value: Any) -> bool:
        for each in tests:  # noqa: SIM110  a generator would cost more than the tests
            if each(value):
                return True
        return False

    return test


def _neither(test: Test) -> Test:
    return lambda value: not test(value)


def _operator(member: dict[str, Any]) -> Test:
    if not member:
        raise Invalid("Match expression name not found")
    name, operand = next(iter(member.items()))
    if name not in _OPERATORS:
        raise Invalid(f"Unrecognized match type {name}")
    test = _OPERATORS[name](operand)
    if len(member) > 1:
        raise Invalid(TOO_MANY_ELEMENTS if name in ("numeric", "anything-but") else ONLY_ONE_KEY)
    return test


def _exists(wanted: Any) -> Test:
    if not isinstance(wanted, bool):
        raise Invalid("exists match pattern must be either true or false.")
    return _is_present if wanted else _is_absent


def _is_present(_: Any) -> bool:
    return True


def _is_absent(_: Any) -> bool:
    """Stands for `{"exists": false}`, which is no test of a value."""
    return False


def _prefix(operand: Any) -> Test:
    return _text_or_in_any_case("prefix", operand, texts.starts, texts.starts_ignoring_case)


def _suffix(operand: Any) -> Test:
    return _text_or_in_any_case("suffix", operand, texts.ends, texts.ends_ignoring_case)


def _text_or_in_any_case(name: str, operand: Any, as_it_is: _OfTexts, in_any_case: _OfTexts) -> Test:
    if not isinstance(operand, dict):
        return as_it_is((_text(name, operand),))
    if not operand:
        raise Invalid(f"{name.capitalize()} expression name not found")
    nested, text = next(iter(operand.items()))
    if nested != "equals-ignore-case":
        raise Invalid(f"Unsupported {name} pattern: {nested}")
    test = in_any_case((_text(nested, text),))
    if len(operand) > 1:
        raise Invalid(ONLY_ONE_KEY)
    return test


def _equals_ignore_case(operand: Any) -> Test:
    return texts.equals_ignoring_case((_text("equals-ignore-case", operand),))


def _wildcard(operand: Any) -> Test:
    return texts.like((_text("wildcard", operand),))


def _text(name: str, operand: Any) -> str:
    if not isinstance(operand, str):
        raise Invalid(f"{name} match pattern must be a string")
    return operand


def _anything_but(operand: Any) -> Test:
    if isinstance(operand, dict):
        return _anything_but_texts(operand)
    listed = _listed(operand)
    if not all(type(value) in NUMBERS or isinstance(value, str) for value in listed):
        raise Invalid("Inside anything but list, start|null|boolean is not supported.")
    if len({isinstance(value, str) for value in listed}) != 1:
        raise Invalid("Inside anything but list, either all values are number or string, mixed type is not supported")
    return _neither(_one_of([value if isinstance(value, str) else checked(value) for value in listed]))


def _anything_but_texts(operand: dict[str, Any]) -> Test:
    if not operand:
        raise Invalid("Anything-But expression name not found")
    name, nested = next(iter(operand.items()))
    if name not in _OF_TEXTS:
        raise Invalid(f"Unsupported anything-but pattern: {name}")
    listed = _listed(nested)
    for text in listed:
        if not isinstance(text, str):
            raise Invalid(_NO_TEXT[name])
        if not text and name in ("prefix", "suffix"):
            raise Invalid("Null prefix/suffix not allowed")
    if not listed:
        raise Invalid(EMPTY_ARRAY)
    test = _OF_TEXTS[name](tuple(listed))
    if len(operand) > 1:
        raise Invalid(TOO_MANY_ELEMENTS)
    return _neither(test)


def _listed(operand: Any) -> list[Any]:
    """A value, or an array of them."""
    if isinstance(operand, list):
        return operand
    if type(operand) not in NUMBERS and not isinstance(operand, str):
        raise Invalid("Value of anything-but must be an array or single string/number value.")
    return [operand]


_OfTexts = Callable[[tuple[str, ...]], Test]

_OF_TEXTS: dict[str, _OfTexts] = {
    "prefix": texts.starts,
    "suffix": texts.ends,
    "equals-ignore-case": texts.equals_ignoring_case,
    "wildcard": texts.like,
}
"""What may stand inside of `anything-but`."""

_NO_TEXT = {
    "prefix": "prefix/suffix match pattern must be a string",
    "suffix": "prefix/suffix match pattern must be a string",
    "equals-ignore-case": ("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."),
    "wildcard": "wildcard match pattern must be a string",
}

_OPERATORS: dict[str, Callable[[Any], Test]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": in_range,
    "cidr": addresses.within,
    "exists": _exists,
}
