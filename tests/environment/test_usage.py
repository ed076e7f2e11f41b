"""What a process measures of itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LARGE_PARENT = """
import subprocess, sys
held = b"x" * (200 * 2**20)
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
"""

MEASURES = """
import json, mmap, resource
from fnframe.environment.usage import Meter, high_water_kb

def resident_kb():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Rss:"))

meter = Meter()
figures = {"method": meter.method, "inherited": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "pairs": []}
for megabytes in (0, 50, 5):
    meter.start()
    block = mmap.mmap(-1, max(1, megabytes) * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, megabytes * 2**20, mmap.PAGESIZE):
        block[start] = 1
    truth = resident_kb()
    del block
    figures["pairs"].append((meter.used()[0], truth))
print(json.dumps(figures))
"""


@pytest.mark.parametrize("parent", ["small", "large"])
def test_the_peak_is_this_processs_own_also_where_a_large_one_started_it(parent):
    """exec hands the parent's peak down, and getrusage never tells of less."""
    command = [sys.executable, "-c", *([MEASURES] if parent == "small" else [LARGE_PARENT, MEASURES])]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    figures = json.loads(told.stdout)
    assert figures["method"] == "peak-rss-reset"
    assert parent == "small" or figures["inherited"] > 200 * 1024  # Of a small one: these tests' own, whatever it is.
    for measured, truth in figures["pairs"]:
        assert measured == pytest.approx(truth, abs=1024)
