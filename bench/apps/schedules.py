"""As many schedules as the environment says, for one function that notes how late it is."""

from __future__ import annotations

import os
import time

from fnframe_cron import Cron, Tick

from fnframe import App

COUNT = int(os.environ.get("BENCH_SCHEDULES", "1"))
EXPRESSION = os.environ.get("BENCH_EXPRESSION", "* * * * * *")

app = App("schedules")

late: list[float] = []
fired: list[float] = []


@app.function(*(Cron(EXPRESSION, name=str(number)) for number in range(COUNT)), isolation="inline")
async def job(tick: Tick) -> None:
    scheduled = tick.scheduled.timestamp()
    late.append(time.time() - scheduled)
    fired.append(tick.fired.timestamp() - scheduled)
