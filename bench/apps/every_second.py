"""A schedule for each second, whose handler notes the instant and the process in a file."""

from __future__ import annotations

import os
from pathlib import Path

from fnframe_cron import Cron, Tick

from fnframe import App

NOTES = Path(os.environ.get("BENCH_NOTES", "/dev/null"))

app = App("every-second")


@app.function(Cron("* * * * * *", misfire="all"), isolation="inline")
async def note(tick: Tick) -> None:
    line = f"{int(tick.scheduled.timestamp())} {os.getpid()}\n".encode()
    descriptor = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
