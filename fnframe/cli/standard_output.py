"""What becomes of a command whose standard output cannot be written to: its reader went away, or a disk is full."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class OutputLost(Exception):
    """Standard output cannot be written to; the text says why."""

    def __init__(self, error: OSError) -> None:
        self.reader_left = isinstance(error, BrokenPipeError)
        super().__init__(f"standard output cannot be written to: {error.strerror}")


@contextmanager
def written() -> Iterator[None]:
    """What is written to standard output inside has left this process at the end. Raises `OutputLost`."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise OutputLost(error) from None


def tell(text: str) -> None:
    """Print a text. Raises `OutputLost`."""
    with written():
        print(text)


def replace_missing() -> None:
    """Stand in for outputs that were closed before we started."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  open as long as the process


def silence() -> None:
    """Send nowhere what could not be written: the interpreter would complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
