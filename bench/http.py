"""POST of 100 bytes of JSON to a function that echoes it: wrk, 64 kept connections.

Everything of the server (its workers too) is pinned to one core and wrk to another, so the rate says what a
request costs. fnframe and `limit` run the function in another process, functions-framework in its server's.
Needs `wrk` (Debian: apt-get install wrk).
"""

from __future__ import annotations

import sys
from pathlib import Path

from .harness import Figures, Goal, case, main
from .load import served

APPS = Path(__file__).parent / "apps"
BIN = Path(sys.executable).parent


GOALS = [
    Goal("fnframe run", "per_s", against="functions-framework", at_least=3.0),
    Goal("fnframe run", "per_s", against="functions-framework --asgi", at_least=1.0),
    Goal("fnframe, log lines off", "per_s", against="functions-framework", at_least=3.0),
    Goal("fnframe, log lines off", "per_s", against="functions-framework --asgi", at_least=1.0),
]

UVICORN = [
    str(BIN / "uvicorn"),
    *(
        "--port",
        "{port}",
        "--http",
        "httptools",
        "--loop",
        "uvloop",
        "--no-access-log",
        "--log-level",
        "warning",
    ),
]
FRAMEWORK = [str(BIN / "functions-framework"), "--host", "127.0.0.1", "--port", "{port}", "--target", "echo"]


@case("fnframe run")
def _() -> Figures:
    return served(sys.executable, "-m", "fnframe.cli", "run", str(APPS / "web.py"), "--port", "{port}")


@case("fnframe, log lines off")
def _() -> Figures:
    return served(sys.executable, "-m", "bench.apps.serve", "{port}")


@case("fnframe mounted in Starlette")
def _() -> Figures:
    return served(*UVICORN, "bench.apps.mounted:application")


@case("functions-framework")
def _() -> Figures:
    return served(*FRAMEWORK, "--source", str(APPS / "ff_default.py"))


@case("functions-framework --asgi")
def _() -> Figures:
    return served(*FRAMEWORK, "--source", str(APPS / "ff_asgi.py"), "--asgi")


@case("limit: uvicorn, raw ASGI, bare workers")
def _() -> Figures:
    return served(*UVICORN, "--lifespan", "off", "bench.apps.bare_asgi:application")


if __name__ == "__main__":
    columns = {"per_s": "per second", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "memory_mb": "memory MB"}
    main(__spec__, GOALS, columns)
