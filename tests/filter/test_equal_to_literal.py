"""The compiled form of any pattern tells of any event what the rules, read literally, tell."""

from __future__ import annotations

import itertools
import json
import os
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fnframe.filter.patterns import InvalidPattern, compile_patterns

from .literal import fits

EXAMPLES = int(os.environ.get("FILTER_EXAMPLES", "200"))
"""Of each test. So few find what is often wrong; set it for what is seldom wrong."""

CHECKED = settings(max_examples=EXAMPLES)
MORE = settings(CHECKED, max_examples=3 * EXAMPLES)

TEXTS = ["", "x", "X", "xy", "XY", "yx", "x*", "x\\", "ß", "SS", "ss", "axbx", "10.0.0.7", "10.0.1.7", "::1", "0:0::1"]
NUMBERS = [0, 1, 1.0, -2.5, 10, 2**53 + 1, 2**53 + 2, 2**1100]
VALUES = [*TEXTS, *NUMBERS, True, False, None]
IN_DOUBLES = [0, 1, 1.0, -2.5, 10, 2**53 + 2]
WILDCARDS = ["", "*", "x*", "*x", "a*b*x", "*x*", "x\\*", "*\\\\", "a*x*b*x*"]
RANGES = [
    *([sign, number] for sign in ("=", "<", "<=", ">", ">=") for number in IN_DOUBLES),
    [">", 0, "<", 10], [">=", 0, "<=", 1], [">", -2.5, "<=", 10], [">=", 1, "<", 10],
]  # fmt: skip
BLOCKS = ["10.0.0.0/24", "10.0.0.7/31", "0.0.0.0/0", "10.0.1.0/0", "::/0", "::1/127", "10::/8"]
FILLED = [text for text in TEXTS if text]

OPERATORS = [
    *({"exists": wanted} for wanted in (True, False)),
    *({name: text} for name in ("prefix", "suffix", "equals-ignore-case") for text in TEXTS),
    *({name: {"equals-ignore-case": text}} for name in ("prefix", "suffix") for text in TEXTS),
    *({"wildcard": text} for text in WILDCARDS),
    *({"numeric": terms} for terms in RANGES),
    *({"cidr": block} for block in BLOCKS),
    *({"anything-but": value} for value in [*TEXTS, *IN_DOUBLES, ["x", "xy"], [0, 1], [10]]),
    *({"anything-but": {"equals-ignore-case": text}} for text in [*TEXTS, ["x", "ß"]]),
    *({"anything-but": {name: text}} for name in ("prefix", "suffix") for text in [*FILLED, ["x", "S"]]),
    *({"anything-but": {"wildcard": text}} for text in [*WILDCARDS, ["x*", "*y"]]),
]
ALTERNATIVES = [*VALUES, *OPERATORS]


def test_each_alternative_of_each_value():
    for wanted in ALTERNATIVES:
        compiled, pattern = compile_patterns({"a": [wanted]}), {"a": [wanted]}
        for value in [*VALUES, {}, {"b": "x"}, [], [None], ["x", 0], [["x"], {"b": "xy"}]]:
            assert compiled({"a": value}) == fits(pattern, {"a": value}), (wanted, value)
        assert compiled({"b": 1}) == fits(pattern, {"b": 1}), wanted


def test_two_alternatives_are_either_of_them():
    for first, second in itertools.product(["x", 1, True, None, 2**53 + 1, "::1", {"exists": False}], ALTERNATIVES):
        compiled, pattern = compile_patterns({"a": [first, second]}), {"a": [first, second]}
        for event in [{"a": value} for value in VALUES] + [{}]:
            assert compiled(event) == fits(pattern, event), (pattern, event)


def test_each_short_wildcard_of_each_short_text():
    check_wildcards(["a", "b", "*", "\\*"], 4, "ab*", 4)
    check_wildcards(["a", "*"], 7, "a", 8)  # Pieces that overlap.


def check_wildcards(parts, most_parts, letters, most_letters):
    texts = ["".join(text) for size in range(most_letters + 1) for text in itertools.product(letters, repeat=size)]
    for wildcard in ["".join(each) for size in range(most_parts + 1) for each in itertools.product(parts, repeat=size)]:
        if "**" not in wildcard.replace("\\*", "-"):
            compiled, pattern = compile_patterns({"a": [{"wildcard": wildcard}]}), {"a": [{"wildcard": wildcard}]}
            assert [compiled({"a": text}) for text in texts] == [fits(pattern, {"a": text}) for text in texts], wildcard


# Arrays of objects under few keys: where elements must agree, and what is absent is absent in one of them.
BITS = st.integers(0, 1)
INNER = st.fixed_dictionaries({"x": BITS}, optional={"y": BITS})
ELEMENT = st.fixed_dictionaries({"x": BITS}, optional={"y": BITS, "n": st.lists(INNER, min_size=1, max_size=2)})
ODD = st.one_of(BITS, st.lists(st.one_of(INNER, BITS), min_size=1, max_size=2))
ARRAYS = st.one_of(st.lists(ELEMENT, min_size=2, max_size=3), st.lists(st.one_of(ELEMENT, ODD), min_size=1, max_size=3))
GROVES = st.fixed_dictionaries({"a": ARRAYS}, optional={"a.n": ARRAYS})
WANTED = st.sampled_from([[0], [1], [0], [1], [{"exists": False}], [1, {"exists": False}]])
KEYS = st.sampled_from(["a", "a.x", "a.y", "a.n.x", "a.n.y"])


@MORE
@given(st.dictionaries(KEYS, WANTED, min_size=2, max_size=3), GROVES)
@example({"a": [1], "a.x": [{"exists": False}]}, {"a": [1, [1], {"x": 0}]})
@example({"a.x": [0], "a.y": [{"exists": False}]}, {"a": [{"x": 0, "y": 1}, {"x": 0}]})
@example({"a.x": [{"exists": False}], "a.y": [0]}, {"a": [{"x": 0, "y": 1}, {"y": 0}]})
def test_elements_agree_as_the_rules_say(pattern, event):
    assert compile_patterns(pattern, payload=None)(event) == fits(pattern, event)


# Keys that hold dots, and `$or` wherever it may stand.
NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "a-b", ""])
LEAVES = st.sampled_from([[0], [1], [0, 1], [{"exists": False}], [{"anything-but": 0}]])
PLAIN = st.dictionaries(NAMES, LEAVES, min_size=1, max_size=2)


def with_or(inner):
    branches = st.lists(st.one_of(PLAIN, inner), min_size=2, max_size=3)
    nested = st.dictionaries(NAMES, inner, min_size=1, max_size=2)
    return st.one_of(
        nested,
        st.builds(lambda members, branches: {**members, "$or": branches}, PLAIN, branches),
        st.builds(lambda members, branches: {"$or": branches, **members}, nested, branches),
    )


PATTERNS = st.recursive(PLAIN, with_or, max_leaves=4)
EVENTS = st.recursive(
    st.dictionaries(NAMES, BITS, max_size=3), lambda inner: st.dictionaries(NAMES, st.one_of(inner, BITS), max_size=3)
)


@CHECKED
@given(st.lists(PATTERNS, min_size=1, max_size=2), EVENTS, st.sampled_from([None, "a"]))
def test_rules_combine_as_they_are_written(patterns, event, payload):
    expected = any(fits(pattern, event, payload) for pattern in patterns)
    assert compile_patterns(patterns, payload=payload)(event) == expected


ANY_JSON = st.recursive(
    st.one_of(st.sampled_from(ALTERNATIVES), st.floats(allow_nan=False), st.text(max_size=4),
              st.sampled_from(["=", "<", ">=", "**", "\\", "10.0.0.0/8", "x/8", "::/129"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["a", "b.c", "", "$or", "prefix", "suffix", "wildcard", "numeric", "cidr", "exists", "anything-but",
                 "equals-ignore-case", "exactly"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=15,
)  # fmt: skip


@CHECKED
@given(ANY_JSON, EVENTS)
def test_what_is_no_pattern_is_refused_with_a_reason_and_by_nothing_else(pattern, event):
    try:
        compiled = compile_patterns(pattern)
    except InvalidPattern as error:
        refused = error
    else:
        assert compiled(event) in (True, False)
        assert compile_patterns(json.loads(json.dumps(pattern)))(event) == compiled(event)
        return
    assert refused.reason
    assert str(refused).startswith(f"Event pattern is not valid. Reason: {refused.reason}")


def test_an_event_cannot_make_a_pattern_slow():
    """If each element were tried with each other one, these would take millions of calls, which are counted here."""
    several = [{"x": 1, "y": 0} for _ in range(3000)]
    for pattern, event in [
        ({"a": {"x": [1], "y": [1]}}, {"a": several}),
        ({"a": {"x": [1]}, "b": {"x": [1]}, "c": {"x": [2]}}, {"a": several, "b": several, "c": several}),
        ({"a.b": {"x": [1], "y": [1]}}, {"a.b": several, "a": {"b": several}}),
        ({"a.b": {"x": [1], "y": [1]}}, {"a.b": several, "a": [{"b": each} for each in several]}),
        ({"a": {"b": {"x": [1]}, "c": {"x": [2]}}}, {"a": [{"b": several[:50], "c": several[:50]} for _ in range(60)]}),
        ({"a": {"x": [1], "y": [{"exists": False}]}}, {"a": several}),
    ]:
        decoded = json.loads(json.dumps(event))  # No array twice in it, as in any event.
        calls = 0

        def count(frame, kind, argument):
            nonlocal calls
            calls += kind == "call"

        compiled = compile_patterns(pattern, payload=None)
        sys.setprofile(count)
        try:
            fit = compiled(decoded)
        finally:
            sys.setprofile(None)
        assert not fit
        assert calls < 500_000
