"""Every way for a handler to misbehave, each a function of its own, and what must come of it."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import locale
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe import App

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 2**20
SHORT = 0.1
"""Seconds that a function has which is to run into its deadline."""
LONG = 30.0
LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
MOST = 4096
"""MB at which one that allocates without end stops all the same, to spare the machine if nobody ends it."""

COPY = b"fnframe: a process that the handler forked came out of it, and ends here\n"

app = App("abuse")


class Way(NamedTuple):
    """The outcome that the report must name, and how the failure's message must end."""

    outcome: str
    text: str


WAYS: dict[str, Way] = {}


LATE: list[str] = []
"""Those that run into their deadline."""


def way(outcome: str, text: str = "", *, timeout: float = LONG, memory: int = 128) -> Callable[[Any], Any]:
    def register(handler: Any) -> Any:
        WAYS[handler.__name__] = Way(outcome, text)
        return app.function(timeout=timeout, memory=memory)(handler)

    return register


def late(handler: Any, timeout: float = SHORT, memory: int = 128) -> Any:
    LATE.append(handler.__name__)
    text = f"Task timed out after {timeout:.2f} seconds"
    return way("Sandbox.Timedout", text, timeout=timeout, memory=memory)(handler)


too_large = way("Runtime.OutOfMemory", "Runtime exited with error: signal: killed")
exits = partial(way, "Runtime.ExitError")
well = way("success")


@app.function(timeout=LONG)
def neighbour(event: Any) -> Any:
    """Behaves; tells its word in every way, and how it finds its process."""
    sys.stdout.write(f"{event} said ")
    sys.stderr.write(f"{event} warned ")
    sys.stdout.flush()
    os.write(1, f"{event} wrote\n".encode())
    return {"word": event, "state": state()}


def state() -> dict[str, Any]:
    """What of a process another could have changed."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "umask": mask,
        "cwd": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "variables": sorted(set(os.environ) - {"FNFRAME_ENVIRONMENT", "TMPDIR"}),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "limits": [resource.getrlimit(number) for number in LIMITS],
        "threads": threading.active_count(),
        "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
        "temporary": sorted(os.listdir(tempfile.gettempdir())),
    }


# Into its deadline.


@late
def sleeps() -> None:
    time.sleep(60)


@late
def spins() -> None:
    while True:
        pass


@late
def spins_in_c() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


@late
def ignores_every_signal() -> None:
    every = signal.valid_signals()
    for number in every - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, every)
    while True:
        time.sleep(1)


@late
def catches_everything() -> None:
    while True:
        try:
            time.sleep(1)
        except BaseException:  # noqa: S112  as asked
            continue


@late
async def catches_cancellation() -> None:
    while True:
        with suppress(BaseException):
            await asyncio.sleep(1)


@late
def blocks_in_a_call() -> None:
    os.read(os.pipe()[0], 1)


@late
def stops_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@late
def forks_that_spin() -> None:
    for _ in range(3):
        if os.fork() == 0:
            spin()
    time.sleep(60)


@late
def forks_that_detach() -> None:
    for _ in range(3):
        detached(spin)
    time.sleep(60)


@late
def threads_that_spin() -> None:
    for _ in range(3):
        threading.Thread(target=spin, daemon=True).start()
    spin()


@partial(late, timeout=1.5, memory=2048)
def holds_1_gb() -> None:
    held = b"x" * (1024 * MB)
    time.sleep(len(held))


# Out of memory.


@too_large
def allocates() -> None:
    grow()


@too_large
def allocates_slowly() -> None:
    grow(pause=0.002)


@too_large
def allocates_in_a_child() -> None:
    if os.fork() == 0:
        grow()
    os.wait()


@too_large
def allocates_slowly_in_a_child() -> None:
    if os.fork() == 0:
        grow(pause=0.002)
    os.wait()


@too_large
def allocates_detached() -> None:
    detached(grow)
    time.sleep(60)


@too_large
def recurses_past_every_limit() -> None:
    sys.setrecursionlimit(2**30)
    recurse()


# Gone.


@exits("Runtime exited without providing a reason")
def exits_with_0() -> None:
    sys.exit(0)


@exits("Runtime exited with error: exit status 3")
def exits_with_3() -> None:
    sys.exit(3)


@exits("Runtime exited with error: exit status 1")
def exits_with_a_text() -> None:
    sys.exit("no more")


@exits("Runtime exited without providing a reason")
def exits_hard_with_0() -> None:
    os._exit(0)


@exits("Runtime exited with error: exit status 7")
def exits_hard_with_7() -> None:
    os._exit(7)


@exits("Runtime exited with error: signal: segmentation fault")
def segfaults() -> None:
    ctypes.string_at(0)


@exits("Runtime exited with error: signal: aborted")
def aborts() -> None:
    os.abort()


@exits("Runtime exited with error: signal: terminated")
def ends_its_group() -> None:
    os.killpg(0, signal.SIGTERM)
    time.sleep(60)


@exits("Runtime exited with error: exit status 1")
def raises_base_exception() -> None:
    raise BaseException("as asked")  # noqa: TRY002


@exits("Runtime exited with error: exit status 1")
async def raises_base_exception_in_a_task() -> None:
    raise BaseException("as asked")  # noqa: TRY002


@exits("Runtime exited with error: signal: killed")
def becomes_another_program() -> None:
    os.execvp("sleep", ["sleep", "60"])


@exits("Runtime exited with error: signal: killed")
def closes_every_descriptor() -> None:
    os.closerange(0, 4096)
    time.sleep(60)


@exits("Runtime exited with error: signal: killed")
def writes_to_every_descriptor() -> None:
    for descriptor in range(256):
        with suppress(OSError):
            os.write(descriptor, b"garbage\n")
    time.sleep(60)


# A failure of its own.


class HugeText(Exception):
    def __repr__(self) -> str:
        return "x" * (20 * MB)

    __str__ = __repr__


class BrokenText(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


class Nameless(type):
    @property
    def __name__(cls) -> str:
        raise RuntimeError("no name")


class BrokenName(Exception, metaclass=Nameless):
    pass


@way("HugeText", "x" * 1000)
def raises_a_huge_text() -> None:
    raise HugeText


@way("BrokenText", "<the text of this BrokenText cannot be made>")
def raises_a_broken_text() -> None:
    raise BrokenText


@way("BrokenName", "as asked")
def raises_a_broken_name() -> None:
    raise BrokenName("as asked")


@way("ValueError", "\\udc80")
def raises_what_cannot_be_sent() -> None:
    raise ValueError("\udc80")


@way("RecursionError", "maximum recursion depth exceeded")
def recurses() -> None:
    recurse()


@way("MemoryError")
def asks_for_too_much() -> None:
    bytearray(2**60)


@way("Runtime.MarshalError", "Object of type Odd is not JSON serializable")
def returns_what_cannot_be_encoded() -> Any:
    class Odd:
        __slots__ = ()

    return Odd()


@way(
    "Function.ResponseSizeTooLarge",
    "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
)
def returns_7_mb() -> str:
    return "x" * (7 * MB)


# A success that leaves something.


@well
def prints_10_mb() -> str:
    return printed(b"0123456789abcde\n" * (10 * MB // 16))


@well
def prints_without_newline() -> str:
    return printed(b"x" * 100_000)


@well
def prints_binary() -> str:
    return printed(os.urandom(100_000))


@well
def leaves_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()


@well
async def leaves_a_task() -> None:
    asyncio.ensure_future(asyncio.sleep(60))  # noqa: RUF006


@well
def leaves_programs() -> None:
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sleep", "600"], start_new_session=True)


@well
def forks_and_both_come_out() -> str:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return hashlib.sha256(COPY).hexdigest()


@well
def leaves_a_daemon() -> None:
    detached(spin)


@well
def changes_everything() -> None:
    os.chdir("/")
    os.umask(0o777)
    os.nice(1)
    os.environ.clear()
    os.environ["LEFT"] = "behind"
    locale.setlocale(locale.LC_ALL, "POSIX")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


@well
def deletes_its_temporary_directory() -> None:
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)


@well
def fills_its_temporary_directory() -> None:
    for number in range(100):
        descriptor, _ = tempfile.mkstemp(suffix=str(number))
        os.close(descriptor)


def spin() -> None:
    while True:
        pass


def grow(pause: float = 0.0) -> None:
    hoard: list[bytes] = []
    piece = MB if pause else 256 * MB
    while len(hoard) * piece < MOST * MB:
        hoard.append(b"x" * piece)
        if pause:
            time.sleep(pause)


def recurse() -> None:
    recurse()


def detached(act: Callable[[], None]) -> None:
    """Do something as a daemon does: in a grandchild that nobody waits for, in a session of its own."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            act()
        os._exit(0)
    os.waitpid(child, 0)


def printed(data: bytes) -> str:
    sys.stdout.buffer.write(data)
    return hashlib.sha256(data).hexdigest()
