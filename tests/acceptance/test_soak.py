"""A hundredth of bench/soak: nothing grows and nothing is left, however functions end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nothing_grows_while_functions_end_in_every_way(backend):
    command = [sys.executable, "-m", "bench.soak.lifecycle", "--invocations", "2000", "--backend", backend]
    soak = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    assert "flat: nothing grew" in soak.stdout
