"""The observer. What it raises is logged and dropped: it cannot hurt the app, and must not hold it up."""

from __future__ import annotations

import json
from threading import Lock
from typing import TextIO

from fnframe import Outcome, Report, hookimpl


class Slow:
    """Writes a line for each invocation that takes more than so many milliseconds; `count` tells how many did."""

    def __init__(self, milliseconds: float, file: TextIO) -> None:
        self.count = 0
        self._milliseconds = milliseconds
        self._file = file
        # Where an app runs by `run_in_thread`, observers are called in its callers' threads too.
        self._lock = Lock()

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        if report.duration_ms <= self._milliseconds:
            return
        line = {"function": report.function, "duration_ms": report.duration_ms, "outcome": report.outcome}
        with self._lock:
            self.count += 1
            print(json.dumps(line), file=self._file, flush=True)
