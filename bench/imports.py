"""What starting costs: a fresh interpreter each time, its own start included, files in the page cache."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from .harness import Figures, Goal, case, main

TIMES = 15
FNFRAME = str(Path(sys.executable).with_name("fnframe"))

GOALS = [
    Goal("import fnframe", "ms", at_most=80.0, unit="ms"),
    Goal("import fnframe", "asyncio", at_most=0.0),
    Goal("from fnframe import App, Context, Event", "ms", at_most=80.0, unit="ms"),
    Goal("from fnframe import App, Context, Event", "asyncio", at_most=0.0),
    Goal("fnframe --help", "ms", at_most=300.0, unit="ms"),
]


def started(*command: str) -> Figures:
    times = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - begin) * 1e3)
    return {"ms": statistics.median(times)}


def imported(statement: str) -> Figures:
    probe = f"{statement}; import sys; print('asyncio' in sys.modules, len(sys.modules))"
    command = [sys.executable, "-c", probe]
    found, modules = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    loaded = {"asyncio": float(found == "True"), "modules": float(modules)}
    return {**started(sys.executable, "-c", statement), **loaded}


@case("python -c pass")
def _() -> Figures:
    return imported("pass")


@case("import fnframe")
def _() -> Figures:
    return imported("import fnframe")


@case("from fnframe import App, Context, Event")
def _() -> Figures:
    return imported("from fnframe import App, Context, Event")


@case("import msgspec.json")
def _() -> Figures:
    return imported("import msgspec.json")


@case("import anyio, asyncio, pluggy, msgspec.json")
def _() -> Figures:
    return imported("import anyio, asyncio, pluggy, msgspec.json")


@case("fnframe --help")
def _() -> Figures:
    return started(FNFRAME, "--help")


@case("functions-framework --help")
def _() -> Figures:
    return started(str(Path(sys.executable).with_name("functions-framework")), "--help")


if __name__ == "__main__":
    main(__spec__, GOALS, {"ms": "ms", "modules": "modules", "asyncio": "asyncio (1: imported)"})
