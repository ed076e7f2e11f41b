"""Event patterns, the filter language of Lambda and EventBridge: compiled once, then asked of each document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import ConfigurationError
from ..event import decode_json, encode_json
from .matching import Rule
from .operators import Alternatives, alternatives
from .reasons import Invalid

Pattern = dict[str, Any]
Keys = dict[str, Alternatives]

LONGEST, MOST_KEYS, MOST_RULES, MOST_STEPS = 4096, 256, 1000, 100
"""Bounds of one pattern: characters as JSON, keys that must all be met, combinations that `$or` makes of them, steps of
one key. The first is Lambda's, the next two are EventBridge's."""

RESERVED = frozenset(
    {
        "exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
        "=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after",
        "date-before", "date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range",
    }
)  # fmt: skip
"""What cannot be a key inside of `$or`."""

OR = "$or"

NOT_AN_OBJECT = "Filter is not an object"


class InvalidPattern(ConfigurationError):
    """A pattern that EventBridge would refuse too: `reason` is what it says, `pattern` the pattern as JSON."""

    def __init__(self, reason: str, pattern: str, place: str = "") -> None:
        self.reason = reason
        self.pattern = pattern
        at = f" - at `{place}`" if place else ""
        shown = pattern if len(pattern) <= 300 else f"{pattern[:300]}..."
        super().__init__(f"Event pattern is not valid. Reason: {reason}{at} in {shown}")


class Patterns:
    """Compiled patterns, of which one must fit. `reads` are the first steps of the keys that they look at."""

    def __init__(self, rules: Sequence[Callable[[Any], bool]], reads: frozenset[str]) -> None:
        self._rules = rules
        self.reads = reads

    def __call__(self, document: Mapping[str, Any]) -> bool:
        """Whether the document, an object of decoded JSON, fits."""
        for rule in self._rules:  # noqa: SIM110  a generator would cost as much as a rule
            if rule(document):
                return True
        return False


def compile_patterns(patterns: Pattern | Sequence[Pattern], *, payload: str | None = "data") -> Patterns:
    """Compile one pattern, or several of which one must fit. Raises `InvalidPattern`.

    `payload` names the key under which documents hold what came from outside: as in Lambda, a pattern that looks into
    it fits no document whose payload is a text, a number or nothing, not even by `{"exists": false}`.
    """
    if isinstance(patterns, dict):
        patterns = [patterns]
    if not isinstance(patterns, (list, tuple)) or not patterns:
        raise InvalidPattern(NOT_AN_OBJECT, repr(patterns))
    compiled = [keys for pattern in patterns for keys in _checked(pattern)]
    reads = frozenset(name.partition(".")[0] for keys in compiled for name in keys)
    return Patterns([_rule(keys, payload) for keys in compiled], reads)


def _rule(keys: Keys, payload: str | None) -> Callable[[Any], bool]:
    rule = Rule(keys)
    if payload is None or not any(name.startswith(f"{payload}.") for name in keys):
        return rule
    return lambda document: type(document.get(payload)) in (dict, list) and rule(document)


def _checked(pattern: Any) -> list[Keys]:
    """The rules of one pattern, of which one must be met. Raises `InvalidPattern`."""
    try:
        text = encode_json(pattern).decode()
        plain = decode_json(text)  # Tuples are arrays, and nobody changes it afterwards.
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPattern(f"it cannot be written as JSON ({error})", repr(type(pattern))) from None
    reader = _Reader()
    try:
        return reader.rules(plain, text)
    except Invalid as error:
        raise InvalidPattern(str(error), text, ".".join(reader.path)) from None


class _Reader:
    """Reads one pattern. `path` is where it is: the place of what is wrong."""

    def __init__(self) -> None:
        self.path: list[str] = []

    def rules(self, pattern: Any, text: str) -> list[Keys]:
        if not isinstance(pattern, dict):
            raise Invalid(NOT_AN_OBJECT)
        if len(text) > LONGEST:
            raise Invalid(f"the pattern has {len(text):,} characters as JSON; the limit is {LONGEST:,}")
        rules: list[Keys] = [{}]
        self._read_object(pattern, rules, inside_or=False)
        if max(map(len, rules)) > MOST_KEYS:
            raise Invalid(f"one rule has more than {MOST_KEYS} keys")
        return rules

    def _read_object(self, members: dict[str, Any], rules: list[Keys], *, inside_or: bool) -> None:
        """Add what the members ask for to each of the rules."""
        if not members:
            raise Invalid("Empty objects are not allowed")
        for name, member in members.items():
            self.path.append(name)
            if name == OR:
                self._read_or(member, rules)
            elif inside_or and name in RESERVED:
                raise Invalid(f"{name} is Ruler reserved fieldName which cannot be used inside {OR}.")
            elif isinstance(member, dict):
                self._read_object(member, rules, inside_or=inside_or)
            elif isinstance(member, list):
                key, listed = self._key(), alternatives(member)
                for rule in rules:
                    rule[key] = listed
            else:
                raise Invalid(f'"{name}" must be an object or an array')
            self.path.pop()

    def _read_or(self, branches: Any, rules: list[Keys]) -> None:
        """Make of each rule as many as there are branches."""
        if not isinstance(branches, list):
            raise Invalid(f"It must be an Array followed with {OR}.")
        before = list(rules)
        rules.clear()
        for branch in branches:
            if not isinstance(branch, dict):
                raise Invalid(f"Only JSON object is allowed in array of {OR} relationship.")
            copies = [dict(rule) for rule in before]
            self._read_object(branch, copies, inside_or=True)
            rules += copies
            if len(rules) > MOST_RULES:
                raise Invalid(f"{OR} makes more than {MOST_RULES:,} combinations")
        if len(branches) < 2:
            raise Invalid(f"There must have at least 2 Objects in {OR} relationship.")

    def _key(self) -> str:
        key = ".".join(name for name in self.path if name != OR)
        if key.count(".") >= MOST_STEPS:
            raise Invalid(f"one key has more than {MOST_STEPS} steps")
        return key
