"""The commands that plugins bring."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from . import COMMANDS

if TYPE_CHECKING:
    from ..hookspecs import Command


BROUGHT_BY = {
    "bill": "fnframe-billing",
    "top": "fnframe-billing",
    "advise": "fnframe-billing",
    "cron": "fnframe-cron",
    "lambda": "fnframe-lambda",
}
"""What to install for a command that is not there."""


def contributed() -> dict[str, Command]:
    """The commands of all installed plugins by name. What cannot be used is told on standard error."""
    from ..runtime.plugins import load_plugins

    commands: dict[str, Command] = {}
    for implementation in load_plugins().implementations("fnframe_commands"):
        label = f"plugin {implementation.plugin_name}: fnframe_commands"
        try:
            brought = cast("dict[str, Command]", implementation.function() or {})
        except Exception as error:  # A stranger's plugin must not take the other commands along.
            print(f"fnframe: {label} raised {type(error).__name__}: {error}", file=sys.stderr)
            continue
        for name, command in brought.items():
            if name in COMMANDS or name in commands:
                print(f"fnframe: {label} brings {name!r}, which is there already; it is not used", file=sys.stderr)
            else:
                commands[name] = command
    return commands
