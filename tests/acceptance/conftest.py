"""Whole apps as processes."""

from __future__ import annotations

import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture
def bill_of(fnframe):
    """The rows of an example's bill, by their first word, after it was compared with the one in its README: the same
    lines but for the figures, in both of which the groups sum up to the total."""

    def bill_of(name):
        told = fnframe("bill", name)
        assert (told.returncode, told.stderr) == (0, "")
        readme = (TESTS.parent / "examples" / name / "README.md").read_text("utf-8")
        block = re.search(rf"^    {name}, .*\n(    .*\n|\n)*", readme, re.MULTILINE)
        shown = [line.removeprefix("    ") for line in block[0].rstrip().splitlines()]
        lines = told.stdout.splitlines()
        assert sorted(map(outline, lines[1:])) == sorted(map(outline, shown[1:]))
        found, _ = rows_of(lines), rows_of(shown)
        return found

    return bill_of


def outline(line):
    """A line without its figures and bars, and without what aligns them."""
    return " ".join(re.sub(r"-?[\d.,]+|[·▁▂▃▄▅▆▇█─]+", "#", line).split())


def rows_of(lines):
    """Invocations, failed and cost of each group, which sum up to the line below them."""
    first = next(n for n, line in enumerate(lines) if line.startswith("function ")) + 1
    last = next(n for n, line in enumerate(lines) if line.startswith("──"))
    rows = {line.split()[0]: line.split()[1:] for line in lines[first:last]}
    found = {name: (int(row[0]), int(row[1]), Decimal(row[3])) for name, row in rows.items()}
    total = lines[last + 1].split()
    sums = tuple(map(sum, zip(*found.values(), strict=True)))
    assert sums == (int(total[0]), int(total[1]), Decimal(total[3]))
    assert lines[-1].split() == ["to", "pay", "0.00", "USD"]
    return found


@pytest.fixture
def example(tmp_path):
    """Copy a folder of `examples/` beside the commands, without what a run leaves in it."""

    def example(name):
        kept = shutil.ignore_patterns(".fnframe", "__pycache__", "thumbnails", "data", "*.jsonl")
        return Path(shutil.copytree(TESTS.parent / "examples" / name, tmp_path / name, ignore=kept))

    return example
