"""Two type checkers agree on what a decorated function is, and on what is wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PATHS = [str(path) for path in sorted(ROOT.glob("plugins/*/src"))]


def mypy(name, folder):
    """The lines on which mypy finds something wrong."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(folder / "cache")]
    done = subprocess.run(
        [*command, str(HERE / name)], cwd=folder, capture_output=True, text=True, timeout=58, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return {int(line) for line in re.findall(rf"{name}:(\d+): error", done.stdout)}, done.stdout


def pyright(name, folder):
    """The lines on which pyright does, as others build it for PyPI."""
    settings = {"include": [str(HERE / name)], "typeCheckingMode": "strict", "extraPaths": [str(ROOT), *PATHS]}
    settings |= {"reportUnusedExpression": False, "failOnWarnings": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", str(folder), "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=58, check=False)
    found = [each for each in json.loads(done.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    return {each["range"]["start"]["line"] + 1 for each in found}, json.dumps(found, indent=1)


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright])


@CHECKERS
def test_what_is_right_is_known(checker, tmp_path):
    lines, told = checker("right.py", tmp_path)
    assert lines == set(), told


@CHECKERS
def test_what_is_wrong_is_refused_where_it_is(checker, tmp_path):
    source = (HERE / "wrong.py").read_text().splitlines()
    lines, told = checker("wrong.py", tmp_path)
    assert lines == {number for number, line in enumerate(source, 1) if line.endswith("# x")}, told
