"""The function of the inline cases. Apart from the isolated ones: an async handler makes their template larger."""

from __future__ import annotations

from typing import Any

from fnframe import App

app = App("inline")


@app.function(timeout=30, isolation="inline")
async def echo(event: Any) -> Any:
    return event
