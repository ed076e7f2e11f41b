"""Fails when it is imported first; the second time it takes longer than the function may."""

import os
import time
from pathlib import Path

mark = Path(os.environ["TMPDIR"]) / "tried"
if not mark.exists():
    mark.write_text("once")
    raise RuntimeError("the first time")
time.sleep(60)


def handler(event, context):
    return 1
