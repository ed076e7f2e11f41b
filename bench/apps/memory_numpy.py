"""The same with NumPy imported."""

from __future__ import annotations

import numpy as np

from fnframe import App

from .memory import MB, pages_kb

app = App("memory-numpy")


@app.function(timeout=30, memory=2048)
def itself(megabytes: int) -> int:
    array = np.ones(megabytes * MB // 8)
    return pages_kb("self", "Rss:") if array.sum() >= 0 else 0
