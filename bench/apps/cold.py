"""Functions that are each invoked once: every first invocation is a cold start."""

from __future__ import annotations

from typing import Any

from fnframe import App

COUNT = 40

app = App("cold")


def echo(event: Any) -> Any:
    return event


for number in range(COUNT):
    app.function(name=f"echo{number}", memory=1024)(echo)
