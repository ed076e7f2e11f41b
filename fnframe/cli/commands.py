"""The commands as cyclopts knows them; each is imported from the module of its name when it is used."""

from __future__ import annotations

import logging
import sys
from functools import partial

import cyclopts

from . import COMMANDS
from .errors import guarded


def execute(arguments: list[str]) -> int:
    """Run one command; its exit status."""
    logging.basicConfig(format="%(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        # What a function prints must not fail for a terminal that cannot show it.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return guarded(partial(_parsed, arguments))


def _parsed(arguments: list[str]) -> int:
    app = cyclopts.App(
        name="fnframe",
        version_flags=(),
        help_format="plaintext",
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    # The help shows their docstrings line by line: they are written for 80 columns.
    for name in COMMANDS:
        app.command(f"fnframe.cli.{name}:{name}", name=name)
    return app(arguments) or 0
