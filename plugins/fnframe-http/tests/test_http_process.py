"""As a user starts it: `fnframe run` and `fnframe dev` as processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import pytest
from facts import free_port

from fnframe import ConfigurationError
from fnframe.runtime.run import run_target

COMMAND = [sys.executable, "-m", "fnframe.cli"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("FNFRAME_")}
ENVIRONMENT |= {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}

APP = """
import time
from pathlib import Path
from fnframe import App
from fnframe_http import Http

app = App("demo")
here = Path(__file__).parent

@app.function(Http("GET /hello"))
def hello():
    return "before"

@app.function(Http("GET /waits"), timeout=20)
def waits():
    (here / "began").touch()
    while not (here / "end").exists():
        time.sleep(0.005)
    return "done"
"""


class Started:
    """A command and what it says; `read_until` waits for the line that tells a fact."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []

    def read_until(self, words: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"{words!r} never came:\n{''.join(self.lines)}")

    def url(self) -> str:
        found = re.search(r"http://[\d.]+:\d+", self.read_until("http://"))
        assert found is not None
        return found[0]

    def status(self) -> int:
        """Wait for the end, and read what is still said; the exit status."""
        self.lines.append(self.process.communicate(timeout=90)[0])
        return self.process.returncode


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Started] = []

    def start(*arguments: str) -> Started:
        started.append(Started(*arguments))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.wait(10)
        assert command.process.stdout is not None
        command.process.stdout.close()


def test_run_serves_and_ends_when_requests_in_progress_are_answered(demo: Path, start: Any) -> None:
    """SIGTERM: no new connections, but who was accepted is answered."""
    command = start("run", str(demo), "--port", "0")
    url = command.url()
    assert httpx2.get(f"{url}/hello", trust_env=False).json() == "before"
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(httpx2.get(f"{url}/waits", trust_env=False, timeout=20)))
    asking.start()
    while not (demo / "began").exists():
        assert command.process.poll() is None
        time.sleep(0.005)
    command.process.send_signal(signal.SIGTERM)
    command.read_until("ending")
    while _answers(url):
        time.sleep(0.005)
    (demo / "end").touch()
    asking.join(20)
    assert command.status() == 0
    assert [answer.json() for answer in answers] == ["done"]


def test_dev_serves_new_routes_at_the_same_port(demo: Path, start: Any) -> None:
    command = start("dev", str(demo), "--set", f"http.port={free_port()}")
    url = command.url()
    assert httpx2.get(f"{url}/hello", trust_env=False).json() == "before"
    (demo / "app.py").write_text(APP.replace('"before"', '"after"'))
    command.read_until("reloaded")
    assert httpx2.get(f"{url}/hello", trust_env=False).json() == "after"
    (demo / "app.py").write_text(APP.replace("GET /hello", "GET /hi"))
    command.read_until("reloaded")
    assert httpx2.get(f"{url}/hi", trust_env=False).json() == "before"
    assert httpx2.get(f"{url}/hello", trust_env=False).status_code == 404
    command.process.send_signal(signal.SIGINT)
    command.status()


def test_a_port_in_use_is_told_with_its_option(demo: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "run", str(demo), "--port", port],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode != 0
    text = " ".join(done.stderr.split())
    assert f"port {port} of 127.0.0.1 is in use by another program" in text
    assert "--port" in text
    assert "FNFRAME_HTTP_PORT" in text
    assert "Traceback" not in text


@pytest.mark.anyio
async def test_an_address_that_is_not_ours_is_told_with_its_option(demo: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen at '192\.0\.2\.1': .*--host"):
        async with run_target(str(demo), settings={"http.host": "192.0.2.1", "http.port": 0}):
            raise AssertionError("it started")


@pytest.mark.anyio
async def test_two_functions_of_one_route_are_refused_where_the_second_is_declared(kit: Any) -> None:
    """Also for who only looks at the app."""
    file = kit.APPS / "twice.py"
    with pytest.raises(ConfigurationError) as refused:
        async with run_target(str(file), serve="none"):
            raise AssertionError("it started")
    assert refused.value.where == f"{file}:17"
    assert str(refused.value) == (
        f"{file}:17: function 'second': Http('GET /photos/{{other}}') is already that of 'first': "
        f"Http('GET /photos/{{name}}'), declared at {file}:12"
    )


@pytest.mark.anyio
async def test_the_port_is_free_when_the_app_has_ended(demo: Path) -> None:
    port = free_port()
    for _ in range(2):
        async with run_target(str(demo), settings={"http.port": port}):
            async with httpx2.AsyncClient(trust_env=False) as client:
                assert (await client.get(f"http://127.0.0.1:{port}/hello")).json() == "before"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})])
async def test_answers_are_not_held_back(kit: Any) -> None:
    """On asyncio's own loop every answer to a kept connection took 40 ms more: head and body went out apart, with
    Nagle's algorithm on, since asyncio turns it off only for listeners whose protocol is named."""
    assert "uvloop" not in type(asyncio.get_running_loop()).__module__
    async with kit.serving(kit.SMALL) as client:
        await client.get("/healthz")
        times = []
        for _ in range(20):
            began = time.monotonic()
            assert (await client.get("/healthz")).status_code == 200
            times.append(time.monotonic() - began)
        assert median(times) < 0.030, "most were late, and not the few for which a busy machine had no time"


def test_a_worker_does_not_import_the_web_stack(kit: Any) -> None:
    code = (
        "import sys; from fnframe.environment.target import load_app; load_app(sys.argv[1]); "
        "print([name for name in ('starlette', 'uvicorn', 'anyio', 'pluggy', 'asyncio') if name in sys.modules])"
    )
    small = str(kit.APPS / "small.py")
    done = subprocess.run([sys.executable, "-c", code, small], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


def _answers(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False
