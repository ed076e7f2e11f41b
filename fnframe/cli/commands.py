"""The commands as cyclopts knows them; each is imported from the module of its name when it is used."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING

import cyclopts

from . import COMMANDS
from .contributed import BROUGHT_BY, contributed
from .errors import UsageError, guarded

if TYPE_CHECKING:
    from rich.console import Console

HELP = ("--help", "-h")

USAGES = {name: f"Usage: fnframe {name} [TARGET]" for name in ("plugins", "doctor")}
"""Where cyclopts would say [ARGS]."""


def execute(arguments: list[str]) -> int:
    """Run one command; its exit status."""
    logging.basicConfig(format="%(name)s: %(message)s")
    for stream in (sys.stdout, sys.stderr):
        # What a function prints must not fail for a terminal that cannot show it.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    return guarded(partial(_run, arguments))


def _run(arguments: list[str]) -> int:
    return command_line(arguments)(arguments) or 0


def command_line(arguments: list[str]) -> cyclopts.App:
    """What parses these arguments; the commands of plugins are in it only where the first of them is none of ours."""
    app = cyclopts.App(
        name="fnframe",
        console=_console() if any(argument in HELP for argument in arguments) else None,
        version_flags=(),
        help_format="plaintext",
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
    )
    # The help shows their docstrings line by line: they are written for 80 columns.
    for name in COMMANDS:
        usage = {"usage": USAGES[name]} if name in USAGES else {}
        app.command(f"fnframe.cli.{name}:{name}", name=name, **usage)
    if arguments[0] not in COMMANDS:
        brought = contributed()
        if arguments[0] in BROUGHT_BY and arguments[0] not in brought:
            raise UsageError(
                f"`fnframe {arguments[0]}` comes with {BROUGHT_BY[arguments[0]]}, which is not installed, or cannot be "
                "used: `fnframe plugins` tells which"
            )
        for name, command in brought.items():
            app.command(command.app, name=name)
    return app


def _console() -> Console:
    from .output import Terminal  # rich takes 90 ms, which not every command needs.

    return Terminal()
