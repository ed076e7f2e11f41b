"""The README's code does what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx2 as httpx
import msgspec
import pytest

from fnframe.runtime.config import Settings

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
APP, MOUNTED, ASYNC, BLOCKING, TRIGGER = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def program(tmp_path):
    """Run Python source in the folder that holds the README's app; its output."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "uploads").mkdir()

    def program(source: str) -> str:
        (tmp_path / "program.py").write_text(source)
        command = [sys.executable, "program.py"]
        environ = os.environ | {"FNFRAME_HTTP_PORT": "0"}  # Others may run at the same time.
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return program


def test_the_app_serves(program, start, tmp_path):
    service = start("run", "app.py", "--port", "0")
    address = re.search(r"http://[\d.]+:\d+", service.read_until("order: POST")).group()
    assert httpx.post(f"{address}/orders", json={"name": "cat"}).json() == {"accepted": "cat"}
    assert httpx.get(f"{address}/photos/cat.jpg").json() == {"name": "cat.jpg"}
    assert httpx.post(f"{address}/orders", json={"name": 5}).status_code == 400
    (tmp_path / "uploads" / "cat.jpg").write_bytes(b"picture")
    service.read_until("making cat.jpg with")
    assert service.end() == 0


def test_a_request_with_path_parameters_in_a_program(program):
    call = re.search(r'await (running\.invoke\("photo", event=.*?\))`', README, re.DOTALL)[1]
    body = "from app import app\nfrom fnframe_http.testing import request_event\n\n"
    body += "if __name__ == '__main__':\n    with app.run_in_thread(http={'port': 0}) as running:\n"
    body += f"        print({call}.unwrap())\n"
    assert program(body) == "{'name': 'cat'}\n"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_in_an_asynchronous_program(program, backend):
    body = f"import anyio\nfrom app import app\n\nasync def main():\n{textwrap.indent(ASYNC, '    ')}"
    body += f"        await running.drained()\n\nanyio.run(main, backend={backend!r})\n"
    if backend == "trio":  # Its own server needs asyncio.
        body = body.replace("app.run()", "app.run(mounted=[Http])").replace(
            "import anyio\n", "import anyio\nfrom fnframe_http import Http\n"
        )
    figures, value = program(body).splitlines()
    assert value == "{'accepted': 'cat'}"
    assert all(float(figure) > 0 for figure in figures.split())


def test_in_a_synchronous_program(program, tmp_path):
    assert program(f"{APP}\n{BLOCKING}") == "{'accepted': 'cat'}\n"


def test_mounted(program):
    body = MOUNTED + textwrap.dedent("""
        import asyncio
        import httpx2

        async def main():
            transport = httpx2.ASGITransport(api)
            async with (
                api.router.lifespan_context(api),
                httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
            ):
                print((await client.post("/fn/orders", json={"name": "cat"})).text)

        asyncio.run(main())
    """)
    assert program(body) == '{"accepted":"cat"}\n'


def test_the_trigger(start, tmp_path):
    (tmp_path / "fnframe_plugins.py").write_text(TRIGGER)
    (tmp_path / "app.py").write_text(
        "from fnframe import App\nfrom fnframe_plugins import Every\n\napp = App('ticks')\n\n\n"
        "@app.function(Every(0.01))\ndef tick(event):\n    print('tick', event)\n"
    )
    service = start("run", "app.py", "--log-format", "text")
    service.read_until("tick: every 0.01 s")
    service.read_until("tick {'count': 1}")
    service.read_until("tick {'count': 2}")
    assert service.end() == 0


def test_every_setting_is_told_with_its_default():
    told = dict(re.findall(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \|", README.partition("| key | default |")[2], re.MULTILINE))
    defaults = {}
    for names, texts in told.items():
        defaults |= dict(zip(re.findall(r"\w+", names), texts.split(","), strict=True))
    told_elsewhere = ("tables", "sources")
    fields = {
        f.name: f.default if f.default_factory is msgspec.NODEFAULT else f.default_factory()
        for f in msgspec.structs.fields(Settings)
        if f.name not in told_elsewhere
    }
    assert set(defaults) == set(fields)
    for name, default in fields.items():
        if default is not None:
            assert defaults[name].strip(" `") == (f"{default:g}" if isinstance(default, float) else str(default))
