"""The unit: systemd knows what it says, and what it starts and stops does what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def unit(deploy):
    return (deploy / "systemd" / "fnframe@.service").read_text()


def values(unit, key):
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def verified(unit, folder):
    """What systemd has to say of it, and not of other units of this machine."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is not here: `apt install systemd`, or its like"
    (folder / "fnframe@shop.service").write_text(unit)
    command = ["systemd-analyze", "verify", "--man=no", "./fnframe@shop.service"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return [line for line in done.stderr.splitlines() if "fnframe@shop.service" in line]


def test_systemd_understands_it(unit, tmp_path):
    here = unit.replace("/opt/fnframe/bin/fnframe", str(Path(sys.executable).with_name("fnframe")))
    assert verified(here, tmp_path) == []
    assert "KillMod" in verified(here.replace("KillMode=", "KillMod="), tmp_path)[0]
    assert "not executable" in verified(unit.replace("/opt", "/nowhere"), tmp_path)[0]


def test_it_leaves_functions_the_time_that_they_have(unit):
    grace = dict(text.split("=", 1) for text in values(unit, "Environment"))["FNFRAME_GRACE"]
    assert int(values(unit, "TimeoutStopSec")[0]) >= int(grace) + 5
    assert values(unit, "KillMode") == ["mixed"]


def test_what_it_starts_serves_and_ends_in_order(unit, shop, tmp_path, start, ask):
    state = tmp_path / "state"
    paths = {"%S/fnframe/%i": str(state), "/srv/fnframe/%i": str(shop)}
    for path, here in paths.items():
        unit = unit.replace(path, here)
    environ = dict(text.split("=", 1) for text in values(unit, "Environment"))
    program, *arguments = values(unit, "ExecStart")[0].split()
    assert program == "/opt/fnframe/bin/fnframe"

    started = start(*arguments, environ=environ | {"FNFRAME_HTTP_PORT": "0", "PYTHONDONTWRITEBYTECODE": "1"})
    base = started.read_until("GET http://127.0.0.1").partition("GET ")[2].strip().removesuffix("/wait")
    assert ask(f"{base}/healthz") == '{"status":"ok"}'
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(ask, f"{base}/wait")
        started.read_until('"waiting')
        started.process.terminate()
        started.read_until("ending: what runs has 20 s")
        (tmp_path / "let-go").touch()
        assert answer.result() == '"done"'
    assert started.end(0) == 0
    assert {"engine.db", "ledger.db"} <= {path.name for path in state.iterdir()}
    assert [path.name for path in shop.iterdir()] == ["app.py"]
