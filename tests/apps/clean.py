"""Handlers that tell how they find their process."""

import os
import resource
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from fnframe import App

app = App("clean")


def found():
    umask = os.umask(0)
    os.umask(umask)
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(OSError):  # The listing's own is gone.
            descriptors[name] = os.readlink(f"/proc/self/fd/{name}")
    terminal = None
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY)
    return {
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "ignored": sorted(n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "terminal": terminal,
        "descriptors": descriptors,
        "inheritable": [int(name) for name in descriptors if int(name) > 2 and os.get_inheritable(int(name))],
        "umask": umask,
        "folder": str(Path.cwd()),
        "variable": os.environ.get("CHANGED"),
        "limits": {
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "file size": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
        },
        "score": int(Path("/proc/self/oom_score_adj").read_text()),
        "scheduled": [os.sched_getscheduler(0), os.nice(0)],
        "temporary": sorted(path.name for path in Path(tempfile.gettempdir()).iterdir()),
    }


@app.function()
def state():
    return found()


@app.function()
def other():
    return found()


@app.function()
def changes(folder):
    if folder is not None:
        os.chdir(folder)
        os.umask(0o077)
        os.environ["CHANGED"] = "changed"
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        Path(tempfile.gettempdir(), "left").touch()
    return found()
