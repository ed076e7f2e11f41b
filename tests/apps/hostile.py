"""Handlers that do what nobody should: flood, die between two words, lie, and leave things behind."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import anyio

from fnframe import App, Context

app = App("hostile")


@app.function()
def echo(event):
    return event


@app.function()
def other(event):
    return event


@app.function(timeout=30.0)
def waits_for(path):
    while not Path(path).exists():
        time.sleep(0.002)
    return path


@app.function(timeout=10.0)
def busy(event):
    time.sleep(0.002)
    return event


@app.function(timeout=2.0)
def floods():
    subprocess.run(["yes"], check=True)


@app.function()
def sink(event):
    return None


@app.function()
def enqueues(event, context: Context):
    return context.enqueue(event, 1)


@app.function(timeout=10.0)
async def gathers(event, context: Context):
    return await asyncio.gather(*(context.enqueue("sink", n) for n in range(event)))


@app.function(timeout=10.0)
def shares_its_context(event, context: Context):
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda n: context.enqueue("sink", n), range(event)))


@app.function(timeout=2.0)
async def leaves_sending(event, context: Context):
    if event == "leave":
        asyncio.ensure_future(context.enqueue("sink", 1))  # noqa: RUF006
        await asyncio.sleep(0)
        return "left"
    return await context.enqueue("sink", 2)


@app.function()
def leaves_dead_and_living():
    """A child that is dead and not waited for, and one that runs."""
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
    return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]


def sockets():
    """One of them is the connection to the host."""
    found = []
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
        with suppress(OSError):  # The listing's own is gone.
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                found.append(descriptor)
    return found


@app.function(timeout=10.0)
def writes_garbage():
    for _ in range(2000):
        for descriptor in sockets():
            os.write(descriptor, b"\xff" * 65536)


@app.function(timeout=0.5)
def writes(event):
    """What it is given, in hexadecimal, into its own connection."""
    for descriptor in sockets():
        os.write(descriptor, bytes.fromhex(event))


@app.function()
def writes_later(event):
    """The same, after its answer."""
    writing = [os.dup(descriptor) for descriptor in sockets()]

    def write():
        while not Path(event[0]).exists():
            time.sleep(0.002)
        for descriptor in writing:
            os.write(descriptor, bytes.fromhex(event[1]))

    threading.Thread(target=write, daemon=True).start()


@app.function(timeout=10.0)
def forks_and_both_come_out(event):
    child = os.fork()
    if child == 0:
        if event == "raises":
            raise ValueError("in the child")
        return "child"
    os.waitpid(child, 0)  # So that the child is the first to come out.
    return "parent"


@app.function(timeout=10.0)
async def forks_and_both_come_out_async(event):
    child = os.fork()
    if child == 0:
        return "child"
    os.waitpid(child, 0)
    return "parent"


@app.function(timeout=10.0)
def sends_from_a_child(event, context: Context):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            context.enqueue("sink", 1)
        except Exception as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return os.read(reading, 1000).decode()


@app.function(timeout=30.0, memory=4096)
def forks_much():
    for _ in range(60):
        if os.fork() == 0:
            signal.pause()
    signal.pause()


kept = []


@app.function()
def sends_by_an_old_context(event, context: Context):
    kept.append(context)
    return kept[0].enqueue("sink", event)


@app.function()
def digs():
    """Leaves a temporary directory that is too deep to be walked, and one that nobody may read."""
    top = tempfile.gettempdir()
    unreadable = Path(top, "unreadable")
    unreadable.mkdir()
    (unreadable / "file").touch()
    unreadable.chmod(0)
    os.chdir(top)
    for _ in range(1200):
        os.mkdir("d")  # noqa: PTH102  a path of all of it is too long
        os.chdir("d")
    os.chdir("/")
    return top


@app.function()
def keeps_a_file(event):
    top = Path(tempfile.gettempdir())
    match event:
        case "delete":
            shutil.rmtree(top)
        case "delete all":
            shutil.rmtree(top.parent)
        case "replace by a file":
            shutil.rmtree(top)
            top.touch()
        case "exit":
            os._exit(1)
        case "keep":
            (top / "file").touch()
    return os.listdir(top) if top.is_dir() else []  # noqa: PTH208


class Liar:
    def __init__(self, payload):
        self.payload = payload

    def to_payload(self):
        return self.payload


LIES = {
    "an int": ("a/b", 5),
    "a str": ("a/b", "text"),
    "no type": (None, b"x"),
    "bytes as type": (b"a", b"b"),
    "three": (1, 2, 3),
    "nothing": None,
}


@app.function()
def lies(event):
    return Liar(LIES[event])


class Endless(bytes):
    def __len__(self):
        return -1  # noqa: PLE0303


@app.function()
def wrong_length() -> bytes:
    return Endless(b"abc")


class Broken:
    def write(self, *_):
        raise RuntimeError("write")

    def flush(self):
        raise RuntimeError("flush")


@app.function()
def breaks_stdout():
    sys.stdout = Broken()
    return os.getpid()


@app.function(isolation="inline", retries=0)
async def raises_inline(name):
    await anyio.sleep(0)
    raise {
        "CancelledError": asyncio.CancelledError("of a task that it awaited"),
        "SystemExit": SystemExit(3),
        "GeneratorExit": GeneratorExit(),
    }[name]


@app.function(isolation="inline")
async def echo_inline(event):
    await anyio.sleep(0)
    return event
