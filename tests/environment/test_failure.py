"""What is told of an exception: its place in the user's code and its stack, both within bounds."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import anyio
import msgspec

from fnframe.environment import failure

FAILS_IN_ANYIO = """
import sys
sys.path.insert(0, sys.argv[1])
import anyio
from fnframe.environment import failure
assert anyio.__file__.startswith(sys.argv[1])

async def works():
    anyio.move_on_after("soon").__enter__()

try:
    anyio.run(works)
except TypeError as error:
    print(failure.where_of(error))
"""


def test_a_line_of_source_without_end_is_told_in_part(tmp_path):
    file = tmp_path / "generated.py"
    file.write_text(f"def work():\n    {'x' * 1_000_000}\n")
    work = runpy.run_path(str(file))["work"]
    try:
        work()
    except NameError as error:
        stack = failure.stack_of(error)
    assert [len(line) < 5000 for line in stack] == [True] * len(stack)
    assert f'File "{file}", line 2, in work' in stack[-1]
    assert stack[-1].endswith("\n")


def test_libraries_may_be_installed_anywhere(tmp_path):
    """As by `pip install --target`, or by a system that has more than one place for them."""
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    installed = {Path(module.__file__).parent.parent for module in (anyio, msgspec)}
    for each in [*(path for folder in installed for path in folder.iterdir()), Path(failure.PACKAGE)]:
        if not (vendor / each.name).exists():
            (vendor / each.name).symlink_to(each)
    app = tmp_path / "app.py"
    app.write_text(FAILS_IN_ANYIO)
    told = subprocess.run(
        [sys.executable, "-I", "-S", app, vendor], capture_output=True, text=True, check=True, timeout=30
    )
    line = 1 + FAILS_IN_ANYIO.splitlines().index('    anyio.move_on_after("soon").__enter__()')
    assert told.stdout == f"{app}:{line}\n"


class Unnamed(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")


def test_a_class_of_any_name_is_told():
    assert failure.name_of(Unnamed("Odd", (Exception,), {})()) == "Odd"
    assert failure.name_of(type("x" * 1_000_000, (Exception,), {})()) == "x" * failure.LONGEST_NAME
