"""The HTTP cases' function for fnframe, isolated: `fnframe run bench/apps/web.py --port N`."""

from __future__ import annotations

from typing import Any

from fnframe_http import Http

from fnframe import App

app = App("web")


@app.function(Http("POST /"), timeout=30)
def echo(event: Any) -> Any:
    return event
