"""Each row and each example of docs/filters.md does what stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fnframe.filter.operators import _OF_TEXTS, _OPERATORS
from fnframe.filter.patterns import LONGEST, MOST_KEYS, MOST_RULES, MOST_STEPS, compile_patterns

TEXT = (Path(__file__).parents[2] / "docs" / "filters.md").read_text("utf-8")
APP, *EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
ROWS = re.findall(r"^\| `(.*?)` \| (.*?) \| (.*?) \|$", TEXT.partition("| alternative |")[2], re.MULTILINE)


def events(cell: str) -> list[dict]:
    """The events of a cell: values of `x` in code, or the word that there is none."""
    values = re.findall(r"`(.*?)`|(absent)", cell)
    assert len(values) == len(cell.split(", "))
    return [{} if absent else {"x": json.loads(value)} for value, absent in values]


@pytest.mark.parametrize(("alternative", "fits", "others"), ROWS)
def test_each_row(alternative, fits, others):
    compiled = compile_patterns({"x": [json.loads(alternative)]})
    for event in events(fits):
        assert compiled(event), event
    for event in events(others):
        assert not compiled(event), event


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example(example):
    names: dict = {}
    exec(example, names)  # noqa: S102  the example under test
    compiled = compile_patterns(names["pattern"])
    assert all(compiled({"data": data}) for data in names["fits"])
    assert not any(compiled({"data": data}) for data in names["others"])


def test_the_app_can_be_declared():
    names: dict = {}
    exec(APP, names)  # noqa: S102  the example under test
    assert list(names["app"].definitions) == ["thumbnail", "release"]


def test_every_operator_has_a_row():
    told = "".join(alternative for alternative, _, _ in ROWS)
    assert all(f'"{name}"' in told for name in _OPERATORS)
    assert all(f'{{"anything-but": {{"{name}"' in told for name in _OF_TEXTS)


def test_the_bounds_are_told():
    bounds = TEXT.partition("## Bounds")[2]
    assert all(f"{bound:,}" in bounds for bound in (LONGEST, MOST_KEYS, MOST_RULES, MOST_STEPS))
