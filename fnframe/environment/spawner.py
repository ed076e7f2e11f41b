"""What a template becomes whose app cannot be forked: a process without the app, which starts environments afresh.

Started, in the template's place, as `python -m fnframe.environment.spawner DESCRIPTOR TARGET [APP]`. Threads that the
import left running end with that, and what this process hands down in `ru_maxrss` is less than any app has.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

from .parent import Parent


def become(control: socket.socket, target: list[str], folder: str, variables: dict[str, str], umask: int) -> NoReturn:
    """Turn this process into a spawner, in the folder and with the variables that it had before the import."""
    os.set_inheritable(control.fileno(), True)
    os.chdir(folder)
    os.umask(umask)
    os.execve(sys.executable, _command("spawner", str(control.fileno()), *target), variables)


def main() -> NoReturn:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    # What C code opened at import.
    os.closerange(3, control.fileno())
    os.closerange(control.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    target = sys.argv[2:]

    def begin(connection: socket.socket, output: int) -> int:
        for descriptor in (connection.fileno(), output):
            os.set_inheritable(descriptor, True)
        arguments = (str(connection.fileno()), str(output), str(os.getpid()), *target)
        return os.posix_spawn(sys.executable, _command("spawned", *arguments), os.environ)

    Parent(control).serve(begin)
    os._exit(0)


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"fnframe.environment.{module}", *arguments]


if __name__ == "__main__":
    main()
