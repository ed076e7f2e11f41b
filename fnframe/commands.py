"""What the commands of plugins may use of the command line's own: see `fnframe_commands` in `fnframe.hookspecs`.

Imported by the modules of commands alone, which run where the extra `fnframe[cli]` is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from .cli.errors import UsageError
from .cli.options import Assignments, Flag, Target, settings_of
from .cli.output import Terminal, aligned, counted, duration, printable, terminal
from .cli.signals import Stop, run_async
from .cli.standard_output import OutputLost, tell, written

__all__ = (
    "Assignments", "Flag", "OutputLost", "Place", "Stop", "Target", "Terminal", "UsageError", "aligned", "counted",
    "duration", "place_of", "printable", "run_async", "settings_of", "tell", "terminal", "written",
)  # fmt: skip


class Place(NamedTuple):
    """Where an app lies, and a table of its settings."""

    directory: Path
    settings: msgspec.Struct


def place_of(target: str, table: str, overrides: Mapping[str, object] | None = None) -> Place:
    """An app's folder, and what is set there in a plugin's table, without importing the app.

    `overrides` are settings of the command line, as `settings_of` reads them. Raises `ConfigurationError`.
    """
    from .environment.target import directory_of
    from .runtime.config import load_settings
    from .runtime.plugins import load_plugins

    directory = directory_of(target)
    settings = load_settings(directory, load_plugins(directory).settings_types, overrides)
    return Place(directory, settings.tables[table])
