"""docs/testing.md: its tables name what there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from fnframe.testing import AppClient, Faults

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


def named_in(heading):
    table = TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    return set(re.findall(r"`(\w+)", first))


def public(type_):
    return {name for name, value in vars(type_).items() if inspect.isfunction(value) and not name.startswith("_")}


def test_the_tables_name_what_there_is():
    assert named_in("of the client") == public(AppClient) - {"forgotten"} | {"clock", "heard", "faults"}
    hooks = {name for name in public(Faults) if name.startswith("fnframe_")}
    assert named_in("fault") == public(Faults) - hooks - {"unmet"}
