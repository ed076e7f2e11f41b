"""The function of bench/soak/stream.py."""

from __future__ import annotations

from typing import Any

from fnframe_stream import Stream

from fnframe import App, Batch

app = App("stream")


@app.function(Stream("clicks", batch_size=500), memory=512, timeout=30)
def count(batch: Batch[dict[str, Any]]) -> int:
    return sum(record.data["n"] for record in batch)
