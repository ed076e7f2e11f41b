"""The inside of an environment that is a fresh interpreter: it imports the app itself.

Started as `python -m fnframe.environment.spawned CONNECTION OUTPUT PARENT TARGET [APP]`.
"""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

from . import importing, worker


def main() -> NoReturn:
    connection, output, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    target, name = sys.argv[4], sys.argv[5] if len(sys.argv) > 5 else None
    worker.become_clean(parent)
    importing.prepare(target)
    worker.main(lambda: importing.load(target, name), connection, output)


if __name__ == "__main__":
    main()
