"""The functions of the isolated and timeout cases."""

from __future__ import annotations

from typing import Any

from fnframe import App

app = App("bench")


@app.function(timeout=30)
def echo(event: Any) -> Any:
    return event


@app.function(timeout=0.1)
def spin_or_echo(event: Any) -> Any:
    while event.get("spin"):
        pass
    return event
