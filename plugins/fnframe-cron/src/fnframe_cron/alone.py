"""Whether another process of this machine fires the schedules of the same app, each for itself.

On an engine in memory nobody tells them of each other: `uvicorn --workers 4` would fire everything four times. A name
among Linux's abstract sockets is held as long as its process lives, and leaves nothing behind.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fnframe import Mapping

log = logging.getLogger("fnframe.cron")


@contextmanager
def alone(mappings: Sequence[Mapping]) -> Iterator[None]:
    """Hold the app's name while its schedules run here; warn where another process holds it."""
    if sys.platform != "linux" or mappings[0].shared:
        yield
        return
    directory = mappings[0].directory
    digest = hashlib.sha256(f"{directory}\n{mappings[0].app}".encode()).hexdigest()[:32]
    address = f"\0fnframe-cron-{os.getuid()}-{digest}"
    with socket.socket(socket.AF_UNIX) as held:
        try:
            held.bind(address)
            held.listen(1)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:  # Where such sockets are forbidden, nothing can be said.
                log.debug("whether another process runs the schedules too is not known: %s", error)
                yield
                return
            log.warning(
                "process %s runs the schedules of app %r in %s too, and each of them fires in both, since the engine "
                "is memory: set one that they share, such as engine = 'sqlite:///fnframe.db', or let one process run "
                "them",
                _holder(address),
                mappings[0].app,
                directory,
            )
        yield


def _holder(address: str) -> str:
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.connect(address)
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return "another"
        return str(struct.unpack("3i", credentials)[0])
