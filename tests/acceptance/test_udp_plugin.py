"""examples/udp-plugin: its own tests pass, and an app that uses it is served by a process that has it installed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "examples" / "udp-plugin"
README = (PLUGIN / "README.md").read_text("utf-8")


@pytest.fixture
def installed(tmp_path):
    """The variables of a process that has it installed: its source, and what an installer writes beside it."""
    info = tmp_path / "site" / "fnframe_udp-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fnframe-udp\nVersion: 0.1.0\n")
    points = re.search(r"\[project\.entry-points\.(\w+)\]\n(.*)\n", (PLUGIN / "pyproject.toml").read_text())
    (info / "entry_points.txt").write_text(f"[{points[1]}]\n{points[2]}\n".replace('"', ""))
    return {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{PLUGIN / 'src'}"}


def test_its_own_tests_pass(installed, tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(PLUGIN)]
    environ = os.environ | {"PYTEST_ADDOPTS": ""} | installed
    done = subprocess.run(command, cwd=PLUGIN, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_the_readmes_app_gets_datagrams(installed, tmp_path, start):
    (tmp_path / "app.py").write_text(re.search(r"```python\n(.*?)```", README, re.DOTALL)[1].replace("5140", "0"))
    service = start("run", "app.py", "--log-format", "text", environ=installed)
    address = re.search(r"udp://([\d.]+):(\d+)", service.read_until("note: udp://"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b'{"level": "warning"}', (address[1], int(address[2])))
    service.read_until("got {'level': 'warning'}")
    assert service.end() == 0


def test_it_is_a_trigger_in_forty_lines():
    assert len((PLUGIN / "src" / "fnframe_udp" / "__init__.py").read_text().splitlines()) <= 40
