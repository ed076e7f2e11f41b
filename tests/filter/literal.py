"""The rules of event patterns, written down one by one and as slowly as they read: what the compiled form must equal.

An event is flattened to fields: a name with dots, a value, and in which element of which array it lies; a plain value
in an array lies in none of its elements. A rule is met if for each of its names, in their order, a field can be found
whose value fits and that lies in no other element of an array than the fields before it. Our own rule: where an event
spells one name in two ways (`a.b`, and `b` in `a`), through an array each, the fields of a rule lie in one of them.
"""

from __future__ import annotations

import ipaddress
import re
from fractions import Fraction
from typing import Any


def fits(pattern: dict[str, Any], event: dict[str, Any], payload: str | None = None) -> bool:
    """Whether an event fits a valid pattern."""
    return any(_fits_rule(rule, event, payload) for rule in rules_of([{}], "", pattern))


def _fits_rule(rule: dict[str, list[Any]], event: dict[str, Any], payload: str | None) -> bool:
    looks_in = payload is not None and any(name.startswith(f"{payload}.") for name in rule)
    if looks_in and not isinstance(event.get(payload), (dict, list)):
        return False
    return _met(sorted(rule.items()), list(fields_of("", event, {}, [0])), {})


def rules_of(rules, path, pattern):
    """A pattern without `$or`s: rules of names and alternatives, of which one must be met."""
    for name, member in pattern.items():
        if name == "$or":
            rules = [rule for branch in member for rule in rules_of([dict(rule) for rule in rules], path, branch)]
        elif isinstance(member, dict):
            rules = rules_of(rules, f"{path}{name}.", member)
        else:
            rules = [{**rule, f"{path}{name}": member} for rule in rules]
    return rules


def fields_of(path, node, places, arrays):
    """Name, value and places of each value; `arrays` counts them, to tell them apart."""
    if isinstance(node, dict):
        for name, child in node.items():
            yield from fields_of(f"{path}{name}.", child, places, arrays)
    elif isinstance(node, list):
        arrays[0] += 1
        here = arrays[0]
        for number, child in enumerate(node):
            inside = {**places, here: (path, number)} if isinstance(child, (dict, list)) else places
            yield from fields_of(path, child, inside, arrays)
    else:
        yield path[:-1], node, places


def _met(rule, fields, places) -> bool:
    if not rule:
        return True
    (name, listed), *rest = rule
    possible = [field for field in fields if field[0] == name and _agree(name, places, field[2])]
    if {"exists": False} in listed and not possible and _met(rest, fields, places):
        return True
    return any(
        _met(rest, fields, {**places, **inside})
        for _, value, inside in possible
        if any(_value_fits(value, each) for each in listed)
    )


def _agree(name, places, others) -> bool:
    """Whether a field of this name, which lies in the `others`, goes with fields that lie in these places."""
    if any(others.get(array, place) != place for array, place in places.items()):
        return False
    in_one_spelling = any(f"{name}.".startswith(path) for array, (path, _) in places.items() if array not in others)
    return not (in_one_spelling and any(array not in places for array in others))


def _value_fits(value, wanted) -> bool:
    if isinstance(wanted, dict):
        ((name, operand),) = wanted.items()
        return OPERATORS[name](value, operand)
    if isinstance(wanted, str) and isinstance(value, str) and _address(wanted) is not None:
        return _address(wanted) == _address(value)
    return _kind(value) == _kind(wanted) and value == wanted


def _kind(value) -> str:
    if isinstance(value, bool) or value is None:
        return "constant"
    return "text" if isinstance(value, str) else "number"


def _prefix(value, operand) -> bool:
    if isinstance(operand, dict):
        return isinstance(value, str) and any(
            _same_letters(value[:end], operand["equals-ignore-case"]) for end in range(len(value) + 1)
        )
    return isinstance(value, str) and value[: len(operand)] == operand


def _suffix(value, operand) -> bool:
    if isinstance(operand, dict):
        return isinstance(value, str) and any(
            _same_letters(value[begin:], operand["equals-ignore-case"]) for begin in range(len(value) + 1)
        )
    return isinstance(value, str) and (not operand or value[-len(operand) :] == operand)


def _same_letters(text: str, wanted: str) -> bool:
    """Letter by letter of what is wanted, each of them as it is in lower or in upper case."""
    if not wanted:
        return not text
    letter, rest = wanted[0], wanted[1:]
    forms = {letter} if ord(letter) > 0xFFFF else {letter.lower(), letter.upper()}
    return any(text[: len(form)] == form and _same_letters(text[len(form) :], rest) for form in forms)


def _wildcard(value, operand) -> bool:
    return isinstance(value, str) and _like(value, re.findall(r"\\[*\\]|.", operand, re.DOTALL))


def _like(text: str, tokens: list[str]) -> bool:
    if not tokens:
        return not text
    if tokens[0] == "*":
        return any(_like(text[begin:], tokens[1:]) for begin in range(len(text) + 1))
    return text[:1] == tokens[0][-1] and _like(text[1:], tokens[1:])


def _numeric(value, terms) -> bool:
    if _kind(value) != "number" or not _in_a_double(value):
        return False
    signs = {
        "=": lambda a, b: a == b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    }  # fmt: skip
    pairs = zip(terms[::2], terms[1::2], strict=True)
    return all(signs[sign](Fraction(value), Fraction(bound)) for sign, bound in pairs)


def _in_a_double(number) -> bool:
    try:
        return Fraction(float(number)) == Fraction(number)
    except OverflowError:
        return False


def _cidr(value, block) -> bool:
    address = _address(value) if isinstance(value, str) else None
    network = ipaddress.ip_network(block, strict=False)
    return address is not None and address.version == network.version and address in network


def _address(text):
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-fA-F:]*:[0-9a-fA-F:]*", text):
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _anything_but(value, operand) -> bool:
    if isinstance(operand, dict):
        ((name, texts),) = operand.items()
        listed = texts if isinstance(texts, list) else [texts]
        return not any(OPERATORS[name](value, text) for text in listed)
    listed = operand if isinstance(operand, list) else [operand]
    return not any(_kind(value) == _kind(other) and value == other for other in listed)


OPERATORS = {
    "exists": lambda value, operand: operand,
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": lambda value, operand: isinstance(value, str) and _same_letters(value, operand),
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
