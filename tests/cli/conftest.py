"""An app with triggers of its own, for the command lines to run, and a terminal to run them in."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from ..conftest import COMMAND, ENVIRONMENT

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import sys, time
from fnframe import App
from parts import Folder, Knock

app = App("demo")

@app.function()
def echo(event):
    return event

@app.function(memory=256)
def talk(event):
    print("to standard output")
    print("to standard error", file=sys.stderr)
    return {"ok": True}

@app.function()
def fail(event):
    helper(event)

def helper(event):
    raise ValueError(f"cannot do {event!r}")

@app.function(timeout=0.2)
def slow(event):
    time.sleep(60)

@app.function()
def blob(event):
    return b"\\x89PNG"

@app.function(Folder("in"), retries=1, on_failure="file:failed.jsonl")
def count(event):
    print("counting", event["name"])
    if "bad" in event["text"]:
        raise ValueError("this text is bad")
    return len(event["text"])

@app.function(Knock())
def door(event):
    return event
"""

PARTS = '''
"""Triggers without packaging: a folder whose files are there before, and a pipe whose lines come while it runs."""
import os
import anyio
import msgspec
from fnframe import Event, Trigger
from fnframe.event import now

class Folder(Trigger, frozen=True):
    path: str
    has_backlog = True

    async def run(self, mapping, *, task_status):
        for file in sorted((mapping.directory / self.path).glob("*.txt")):
            if await mapping.state.get(file.name) is None:
                data = msgspec.json.encode({"name": file.name, "text": file.read_text()})
                event = Event(id=file.name, source="folder", type="file", time=now(), subject=file.name, data=data)
                await mapping.enqueue(event)
                await mapping.state.put(file.name, b"")
        task_status.started(f"files in {self.path}")
        await anyio.sleep_forever()

class KnockSettings(msgspec.Struct, frozen=True):
    pipe: str = "pipe"

class Knock(Trigger, frozen=True):
    Settings = KnockSettings

    async def run(self, mapping, *, task_status):
        path = mapping.directory / mapping.settings.pipe
        os.mkfifo(path)
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            task_status.started(f"lines written to {mapping.settings.pipe}")
            while True:
                await anyio.wait_readable(pipe)
                line = os.read(pipe, 4096)
                event = Event(id=line.decode(), source="pipe", type="line", time=now(), data=line)
                await mapping.invoke(event)
        finally:
            os.close(pipe)
            path.unlink()
'''

PLUGIN = """
import fnframe
from parts import Folder, Knock

@fnframe.hookimpl
def fnframe_register_triggers():
    return [Folder, Knock]
"""


@pytest.fixture
def demo(tmp_path) -> Path:
    """A folder with an app, triggers of its own, and two files that wait."""
    folder = tmp_path / "demo"
    (folder / "in").mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    (folder / "parts.py").write_text(PARTS)
    (folder / "fnframe_plugins.py").write_text(PLUGIN)
    return folder


@pytest.fixture
def on_terminal(tmp_path):
    """Run a command with a terminal of 80 columns as standard output; the lines that it shows, without colours."""

    def on_terminal(*arguments):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=ENVIRONMENT | {"COLUMNS": ""},
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
        os.close(ours)
        assert process.wait(30) == 0
        return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()

    return on_terminal


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Nobody has it open any more.
        return b""
