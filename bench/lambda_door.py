"""Lambda's door: synchronous invokes through the HTTP Invoke API, and AWS's own Python client by the Runtime API.

`Invoke API`: POST of 100 bytes of JSON by wrk, 64 kept connections, the server with its environments on one core and
wrk on the other. `awslambdaric`: one runtime that always finds another event; `bare loop` is the least that can drive
the same runtime: a socket, and the bytes of each answer written by hand.
Needs `wrk` (Debian: apt-get install wrk).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from .harness import ENDINGS, Figures, Goal, case, main, stop
from .load import served
from .workload import EVENT

APPS = Path(__file__).parent / "apps"
INVOCATIONS = 2_000
IN_FLIGHT = 4
WARM_UP = 200
PAYLOAD = json.dumps(EVENT, separators=(",", ":")).encode()

GOALS = [
    Goal("Invoke API, our Python runtime", "per_s", at_least=3_000.0, unit="/s"),
    Goal("awslambdaric in fnframe", "per_s", against="awslambdaric, bare loop", at_least=0.5),
]


def invoke_api(function: str) -> Figures:
    command = [sys.executable, "-m", "fnframe.cli", "lambda", "serve", str(APPS / "door.py"), "--port", "{port}"]
    return served(*command, path=f"/2015-03-31/functions/{function}/invocations")


@case("Invoke API, our Python runtime")
def _() -> Figures:
    return invoke_api("echo")


@case("Invoke API, awslambdaric")
def _() -> Figures:
    return invoke_api("ric")


def kept_busy(function: str) -> Figures:
    """One environment of a running app, which always finds another event."""
    import anyio

    from .apps.door import app

    async def measure() -> Figures:
        async with app.run(max_environments=1) as running:

            async def invoke(times: int) -> None:
                for _ in range(times):
                    outcome = await running.invoke(function, payload=PAYLOAD)
                    assert len(outcome.payload) >= len(PAYLOAD)

            await invoke(WARM_UP)
            begin, cpu = time.perf_counter(), cpu_seconds(os.getpid())
            async with anyio.create_task_group() as tasks:
                for _ in range(IN_FLIGHT):
                    tasks.start_soon(invoke, INVOCATIONS // IN_FLIGHT)
            took, cpu = time.perf_counter() - begin, cpu_seconds(os.getpid()) - cpu
        return {"per_s": INVOCATIONS / took, "per_cpu_s": INVOCATIONS / cpu}

    return anyio.run(measure, backend_options={"use_uvloop": True})


@case("awslambdaric in fnframe")
def _() -> Figures:
    return kept_busy("ric")


@case("our Python runtime in fnframe")
def _() -> Figures:
    return kept_busy("echo")


@case("awslambdaric, bare loop")
def _() -> Figures:
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    variables = {
        "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": "ric",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    }
    command = [sys.executable, "-m", "awslambdaric", "door_handler.echo"]
    # At the priority that environments have: on a busy machine that decides.
    command = ["nice", "-n", "5", *command]
    runtime = subprocess.Popen(command, cwd=APPS, env=os.environ | variables, start_new_session=True)
    ENDINGS.append(lambda: stop(runtime, signal.SIGKILL))
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begin = cpu = 0.0
    for number in range(WARM_UP + INVOCATIONS):
        if number == WARM_UP:
            begin, cpu = time.perf_counter(), cpu_seconds(os.getpid())
        drive(connection, number)
    took, cpu = time.perf_counter() - begin, cpu_seconds(os.getpid()) - cpu
    return {"per_s": INVOCATIONS / took, "per_cpu_s": INVOCATIONS / cpu}


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all that descends from it: a figure that other programs hardly move."""
    spent = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        spent += int((task / "schedstat").read_text().split()[0]) / 1e9
        spent += sum(cpu_seconds(int(child)) for child in (task / "children").read_text().split())
    return spent


def drive(connection: socket.socket, number: int) -> None:
    """Hand the runtime one event, and take its answer."""
    request = connection.recv(65536)
    assert request.startswith(b"GET /2018-06-01/runtime/invocation/next"), request
    deadline = int(time.time() * 1000) + 3000
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {number:032d}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline}\r\nLambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:x\r\n"
        f"Lambda-Runtime-Trace-Id: Root=1-0af76519-16cd43dd8448eb211c80319c\r\nContent-Length: {len(PAYLOAD)}\r\n\r\n"
    )
    connection.sendall(head.encode() + PAYLOAD)
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
        answer += connection.recv(65536)
    assert f"/{number:032d}/response".encode() in answer, answer
    connection.sendall(
        b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
    )


if __name__ == "__main__":
    columns = {
        "per_s": "per second",
        "per_cpu_s": "per processor second",
        "p50_ms": "p50 ms",
        "p99_ms": "p99 ms",
        "memory_mb": "memory MB",
    }
    main(__spec__, GOALS, columns)
