"""Functions that end in every way there is; `event["do"]` says how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from fnframe import App, Context

FUNCTIONS = 20
TIMEOUT = 1.0

app = App("lifecycle")


def act(event: dict[str, Any], context: Context) -> Any:
    match event["do"]:
        case "echo":
            return event
        case "print":
            print("x" * 2000)
            return event
        case "raise":
            raise ValueError("as asked")
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(60)
        case "exit":
            os._exit(3)
        case "leave":
            sys.exit(4)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "allocate":
            held = []
            while True:
                held.append(b"x" * (8 << 20))
        case "children":
            # One in its process group and one out of it; both must go.
            subprocess.Popen(["sleep", "300"])
            subprocess.Popen(["sleep", "300"], start_new_session=True)
            return event
    raise AssertionError(event)


for number in range(FUNCTIONS):
    app.function(name=f"act{number}", timeout=TIMEOUT)(act)
