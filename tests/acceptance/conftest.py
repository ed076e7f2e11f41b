"""Whole apps as processes, with the helpers that the command line's own tests use."""

from __future__ import annotations

import shutil
from pathlib import Path
from runpy import run_path

import pytest

TESTS = Path(__file__).parents[1]

# By path: test folders are no packages, and a fixture of another folder's conftest is not seen here.
_cli = run_path(str(TESTS / "cli" / "conftest.py"))
fnframe, start = _cli["fnframe"], _cli["start"]


@pytest.fixture
def example(tmp_path):
    """Copy a folder of `examples/` beside the commands, without what a run leaves in it."""

    def example(name):
        kept = shutil.ignore_patterns(".fnframe", "__pycache__", "thumbnails", "*.jsonl")
        return Path(shutil.copytree(TESTS.parent / "examples" / name, tmp_path / name, ignore=kept))

    return example
