"""The same function in somebody's own ASGI server: `uvicorn bench.apps.mounted:application`."""

from __future__ import annotations

import fnframe_http
from starlette.applications import Starlette
from starlette.routing import Mount

from .web import app

application = Starlette(routes=[Mount("/", app=fnframe_http.asgi(app))], lifespan=fnframe_http.lifespan(app))
