"""How what goes wrong is told: one pointed message with the user's own line, and an exit status."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FnframeError
from .standard_output import OutputLost, silence

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 1
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


class UsageError(Exception):
    """A command was called in a way that cannot work. The text says what was expected."""


def guarded(command: Callable[[], int]) -> int:
    """Run a command; what it raises becomes a message on standard error and an exit status."""
    try:
        return command()
    except BaseException as error:
        text = message_of(error)
        if text is not None:
            complain(text)
            return USAGE
        cause = _cause(error)
        if isinstance(cause, KeyboardInterrupt):
            return INTERRUPTED
        if isinstance(cause, OutputLost) and not cause.reader_left:
            complain(f"{label()} {cause}")
            silence()
            return FAILED
        if isinstance(cause, (OutputLost, BrokenPipeError)):
            silence()
            return BROKEN_PIPE
        raise


def complain(text: str) -> None:
    """Print a text to standard error."""
    try:
        print(text, file=sys.stderr)
    except OSError:  # The exit status is all that is left to tell it.
        silence()


def message_of(error: BaseException) -> str | None:
    """What to tell a person of an error that is theirs to mend; None for what is a bug of fnframe's."""
    error = _cause(error)
    if isinstance(error, FnframeError):
        return _with_source(error)
    if isinstance(error, UsageError):
        return f"{label()} {error}"
    cyclopts = sys.modules.get("cyclopts")
    if cyclopts is not None and isinstance(error, cyclopts.CycloptsError):
        command = " ".join(error.command_chain or ())
        return f"{label()} {error} (`fnframe {command}{' ' if command else ''}--help` tells more)"
    return None


def _cause(error: BaseException) -> BaseException:
    """Task groups raise groups: what a person can mend comes first in them."""
    while isinstance(error, BaseExceptionGroup):
        error = next((e for e in error.exceptions if isinstance(e, FnframeError)), error.exceptions[0])
    return error


def label() -> str:
    """`error:`, in red where that can be seen."""
    seen = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return "\x1b[1;31merror:\x1b[0m" if seen else "error:"


def shown(where: str) -> str:
    """A place in a file as short as it can be: from the current folder, if it lies in it."""
    here = f"{Path.cwd()}{os.sep}"
    return where.removeprefix(here)


def _with_source(error: FnframeError) -> str:
    if error.where is None:
        return f"{label()} {error}"
    lines = [f"{label()} {shown(error.where)}: {str(error).removeprefix(f'{error.where}: ')}"]
    path, _, number = error.where.rpartition(":")
    source = _source_line(path, number)
    if error.traceback.count('  File "') > 1:
        lines += ["", error.traceback.rstrip()]
    elif source:
        lines += ["", f"  {number} | {source}"]
    return "\n".join(lines)


def _source_line(path: str, number: str) -> str | None:
    try:
        return Path(path).read_text("utf-8").splitlines()[int(number) - 1].rstrip()
    except (OSError, ValueError, IndexError):
        return None
