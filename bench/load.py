"""A server under load by wrk: started on one core, loaded from another, and ended."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from .harness import ENDINGS, Figures, stop
from .workload import EVENT

SECONDS = 4
CONNECTIONS = 64
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

WRK_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[%s]]
"""


def served(*command: str, path: str = "/") -> Figures:
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
        _load(port, cores[-1], 1, path)
        return {**_load(port, cores[-1], SECONDS, path), "memory_mb": _resident_mb(server.pid)}
    except Exception as problem:
        log.seek(0)
        raise RuntimeError(f"{problem}; its log ends: {log.read()[-300:].strip()}") from problem


def _load(port: int, core: int, seconds: int, path: str) -> Figures:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = json.dumps(EVENT, separators=(",", ":"))
        script.write(WRK_SCRIPT % body)
        script.flush()
        command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
        command += ["-s", script.name, f"http://127.0.0.1:{port}{path}"]
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
