"""Two functions of one route."""

from __future__ import annotations

from fnframe_http import Http

from fnframe import App

app = App("twice")


@app.function(Http("GET /photos/{name}"))
def first() -> None:
    pass


@app.function(Http("GET /photos/{other}"))
def second() -> None:
    pass
