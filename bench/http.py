"""POST of 100 bytes of JSON to a function that echoes it: wrk, 64 kept connections.

Everything of the server (its workers too) is pinned to one core and wrk to another, so the rate says what a
request costs. fnframe and `limit` run the function in another process, functions-framework in its server's.
Needs `wrk` (Debian: apt-get install wrk).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .harness import ENDINGS, Figures, Goal, case, main, stop
from .workload import EVENT

APPS = Path(__file__).parent / "apps"
BIN = Path(sys.executable).parent
SECONDS = 4
CONNECTIONS = 64
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

WRK_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[%s]]
"""

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


def served(*command: str) -> Figures:
    """Start a server, load it, and end it."""
    assert shutil.which("wrk"), "wrk is missing: apt-get install wrk"
    port = _free_port()
    cores = sorted(os.sched_getaffinity(0))
    words = ["taskset", "-c", str(cores[0]), *(word.replace("{port}", str(port)) for word in command)]
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115  the server writes it until this process ends
    server = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    ENDINGS.append(lambda: stop(server))
    try:
        _wait_for(port, server)
        _load(port, cores[-1], 1)
        return {**_load(port, cores[-1], SECONDS), "memory_mb": _resident_mb(server.pid)}
    except Exception as problem:
        log.seek(0)
        raise RuntimeError(f"{problem}; its log ends: {log.read()[-300:].strip()}") from problem


def _load(port: int, core: int, seconds: int) -> Figures:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = json.dumps(EVENT, separators=(",", ":"))
        script.write(WRK_SCRIPT % body)
        script.flush()
        command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
        command += ["-s", script.name, f"http://127.0.0.1:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    text = done.stdout
    assert "Non-2xx" not in text, text
    failed = re.search(r"Socket errors: (.*)", text)
    assert failed is None, failed
    return {
        "per_s": float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]),
        "p50_ms": _percentile(text, 50),
        "p99_ms": _percentile(text, 99),
    }


def _percentile(text: str, percent: int) -> float:
    number, unit = re.findall(rf"\s{percent}%\s+([\d.]+)(us|ms|s)", text)[0]
    return float(number) * MILLISECONDS[unit]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert server.poll() is None, f"it ended with status {server.returncode}"
        try:
            return socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def _resident_mb(pid: int) -> float:
    """Of the process and everything that descends from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = Path(f"/proc/{pid}/statm").read_text().split()
    own = int(status[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return own + sum(_resident_mb(int(child)) for child in children)


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
