"""Handlers that behave in every way that the tests of environments ask for."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from fnframe import App, Context, Event

print("imported")
app = App("behaviours")
started = []
kept = []
count = 0


@app.on_start
def note_start():
    started.append(os.getpid())


class Order(msgspec.Struct):
    id: int
    items: list[str]


@app.function()
def echo(event):
    return event


@app.function()
def nothing():
    return None


@app.function()
def whole(event: Event):
    return {"id": event.id, "source": event.source, "data": event.value()}


@app.function()
def typed(order: Order) -> Order:
    return order


@app.function()
def raw(data: bytes) -> bytes:
    return data[::-1]


@app.function(timeout=5.0, memory=256)
def about(event, context: Context):
    return {
        "request_id": context.request_id,
        "function": context.function,
        "memory": context.memory,
        "remaining": context.remaining(),
        "attempt": context.attempt,
        "trace": context.trace,
    }


@app.function()
async def later(event):
    await asyncio.sleep(0)
    return [event, id(asyncio.get_running_loop())]


@app.function()
async def leaves_task(event):
    kept.append(asyncio.ensure_future(asyncio.sleep(3600)))
    return [task.cancelled() for task in kept[:-1]]


@app.function()
def pid():
    return {"pid": os.getpid(), "started": started, "tmp": tempfile.gettempdir(), "nice": os.nice(0)}


@app.function()
def counts():
    global count
    count += 1
    return count


@app.function(timeout=0.1)
def spin():
    while True:
        pass


@app.function(timeout=0.1)
def sleeps():
    time.sleep(60)


@app.function(timeout=0.6)
def spin_if(event):
    if event == "keep":
        (Path(tempfile.gettempdir()) / "kept").write_text("still here")
    while event == "spin":
        pass
    return sorted(path.name for path in Path(tempfile.gettempdir()).iterdir())


@app.function()
def raises(event):
    raise ValueError(event)


class Nasty(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@app.function()
def raises_nasty():
    raise Nasty


@app.function()
def exits(code):
    sys.exit(code)


@app.function()
def exits_hard(code):
    os._exit(code)


@app.function()
def segfault():
    ctypes.string_at(0)


@app.function()
def kills_itself(number):
    os.kill(os.getpid(), number)
    time.sleep(60)


@app.function()
def grows():
    hoard = []
    while True:
        hoard.append(bytearray(1_000_000))


@app.function()
def touches(megabytes):
    block = bytearray(megabytes * 2**20)
    return len(block)


@app.function()
def prints(event):
    print("out", event)
    print("err", event, file=sys.stderr)
    os.write(1, b"raw\n")
    subprocess.run(["echo", "child"], check=True)
    return "printed"


@app.function(timeout=1.0)
def prints_and_spins():
    print("before the end")
    ctypes.CDLL(None).printf(b"from C")
    while True:
        pass


@app.function(timeout=30.0)
def prints_much(size):
    os.write(1, b"x" * size + b"\n") if size < 4096 else sys.stdout.write("x" * size + "\n")
    return size


@app.function()
def leaves_child():
    return subprocess.Popen(["sleep", "600"]).pid


@app.function(timeout=1.5)
def detaches_child(path):
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(path).write_text(str(child.pid))
    time.sleep(60)


@app.function(timeout=60.0)
def detaches(path):
    """Leave the session, as another program and as what it is; write both process ids, and wait."""
    program = subprocess.Popen(["sleep", "600"], start_new_session=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        time.sleep(600)
        os._exit(0)
    Path(f"{path}.part").write_text(f"{os.getpid()} {program.pid} {child}")
    Path(f"{path}.part").rename(path)
    time.sleep(60)


@app.function()
def leaves_thread(path):
    """A thread that allocates when the path is there."""

    def grow():
        wait_for(path)
        held = []
        while len(held) < 2000:
            held.append(hold(1))
            time.sleep(0.002)

    threading.Thread(target=grow, daemon=True).start()


@app.function()
def set_result():
    return {1, 2, 3}


@app.function()
def no_result():
    return object()


@app.function()
def sized_result(size):
    return "x" * (size - 2)


@app.function(ephemeral_storage=512)
def big_file(megabytes):
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), megabytes * 2**20)


@app.function(reserved_concurrency=1, timeout=30.0)
def alone(path):
    while not Path(path).exists():
        time.sleep(0.005)


@app.function(reserved_concurrency=0)
def never():
    return None


@app.function(timeout=30.0)
def waits_for(path):
    while not Path(path).exists():
        time.sleep(0.005)
    return os.getpid()


@app.function(variables={"COLOUR": "blue"})
def colour():
    return os.environ.get("COLOUR")


@app.function()
def no_colour():
    return os.environ.get("COLOUR")


@app.function(provisioned_concurrency=1)
def warm():
    return os.getpid()


@app.function()
def fans_out(event, context: Context):
    return [context.enqueue("writes", [event, n]) for n in range(3)]


@app.function()
async def fans_out_async(event, context: Context):
    return await asyncio.gather(*(context.enqueue("writes", [event, n]) for n in range(3)))


@app.function()
def writes(event):
    (path, n) = event
    with open(path, "a") as file:
        file.write(f"{n}\n")


@app.function(timeout=30.0)
def writes_when(event):
    (path, n, gate) = event
    while gate and not Path(gate).exists():
        time.sleep(0.005)
    with open(path, "a") as file:
        file.write(f"{n}\n")


@app.function()
def chain(path, context: Context):
    with open(path, "a") as file:
        file.write(".")
    context.enqueue("chain", path)


@app.function()
def terminated():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@app.function(memory=256)
def length(event: bytes):
    print("working", flush=True)
    return len(event)


def hold(megabytes):
    held = bytearray(megabytes * 2**20)
    for start in range(0, len(held), 4096):
        held[start] = 1
    return held


HOLD = "import sys; held = b'x' * (int(sys.argv[1]) * 2**20); sys.stdin.read()"


@app.function(timeout=1.0, memory=1024)
def holds_and_tells(event):
    """Hold so many MB, write down what the system says was used by then, and sleep past the deadline."""
    megabytes, path = event
    if not megabytes:
        return
    begin = time.process_time()
    held = hold(megabytes)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    Path(path).write_text(f"{peak} {time.process_time() - begin} {len(held)}")
    time.sleep(60)


def wait_for(path):
    while not Path(path).exists():
        time.sleep(0.002)


@app.function(timeout=10.0)
def children_hold(event):
    """Children that hold so many MB each until the gate is there."""
    how, count, megabytes, gate = event
    if how == "program":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        children = [subprocess.Popen([sys.executable, "-c", HOLD, str(megabytes)], **pipes) for _ in range(count)]
        wait_for(gate)
        for child in children:
            child.communicate()
        return "held"
    for _ in range(count):
        if os.fork() == 0:
            held = hold(megabytes)
            wait_for(gate)
            os._exit(len(held) and 0)
    for _ in range(count):
        os.wait()
    return "held"


@app.function(timeout=10.0)
def forks_share(event):
    megabytes, gate = event
    held = hold(megabytes)
    for _ in range(3):
        if os.fork() == 0:
            wait_for(gate)
            os._exit(len(held) and 0)
    for _ in range(3):
        os.wait()
    return "shared"


@app.function(timeout=10.0)
def sends_much(event, context: Context):
    return context.enqueue("nothing", "x" * event)
