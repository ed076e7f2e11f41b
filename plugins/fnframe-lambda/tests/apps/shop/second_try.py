"""Fails when it is imported first; then it finds what it left in the temporary directory, and takes 20 ms."""

import os
import time
from pathlib import Path

mark = Path(os.environ["TMPDIR"]) / "tried"
if not mark.exists():
    mark.write_text("once")
    raise RuntimeError("the first time")
time.sleep(0.02)


def handler(event, context):
    return mark.read_text()
