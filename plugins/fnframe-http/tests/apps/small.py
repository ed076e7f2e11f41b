"""Two functions, for applications that are mounted."""

from __future__ import annotations

import os
import time
from typing import Any

from fnframe_http import Http, Request

from fnframe import App

app = App("small")


@app.function(Http("GET /hello/{name}"))
def hello(request: Request) -> dict[str, str]:
    return {"hello": request.path_params["name"], "path": request.path, "root_path": request.root_path}


@app.function(Http("POST /echo"), Http("POST /"))
async def echo(event: Any) -> Any:
    return event


@app.function(Http("GET /waits"), timeout=30)
def waits() -> None:
    time.sleep(60)


@app.function(Http("GET /inline"), isolation="inline")
async def inline(request: Request) -> int:
    return os.getpid()
