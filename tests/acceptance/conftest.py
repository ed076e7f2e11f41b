"""Whole apps as processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture
def example(tmp_path):
    """Copy a folder of `examples/` beside the commands, without what a run leaves in it."""

    def example(name):
        kept = shutil.ignore_patterns(".fnframe", "__pycache__", "thumbnails", "data", "*.jsonl")
        return Path(shutil.copytree(TESTS.parent / "examples" / name, tmp_path / name, ignore=kept))

    return example
