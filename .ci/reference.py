"""Writes what no tool reads from docstrings: the settings with their tables, and the commands with their help.

uv run python .ci/reference.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from fnframe.cli import COMMANDS
from fnframe.cli.contributed import contributed
from fnframe.runtime.config import Settings
from fnframe.runtime.plugins import load_plugins

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
ORDER = """Keys of `fnframe.toml` beside the app, or of `[tool.fnframe]` in its `pyproject.toml`; then variables; then
`--set key=value`; then arguments of `app.run(...)`. The last wins, and `fnframe doctor` tells which it was.
"""
NESTED = {"dlq": ("list", "show", "redrive", "purge"), "new": ("app", "plugin")}


def settings() -> str:
    """The page of all settings of what is installed here."""
    tables = {name: type_ for name, type_ in sorted(load_plugins().settings_types.items()) if _fields(type_)}
    parts = ["# Settings\n", ORDER, "## The app\n", _told(Settings, "", "FNFRAME_")]
    for name, type_ in tables.items():
        parts += [f"## `[{name}]`\n", _told(type_, f"{name}.", f"FNFRAME_{name.upper()}_")]
    return "\n".join(parts)


def commands() -> str:
    """The page of all commands, as they explain themselves in 80 columns."""
    parts = ["# Commands\n", "```console", _help(), "```\n"]
    for name in (*COMMANDS, *sorted(contributed())):
        parts += [f"## `fnframe {name}`\n", "```console", _help(name), "```\n"]
        for inner in NESTED.get(name, ()):
            parts += ["```console", _help(name, inner), "```\n"]
    return "\n".join(parts)


def _told(type_: type[msgspec.Struct], key: str, variable: str) -> str:
    text = "\n".join(line.strip() for line in (type_.__doc__ or "").strip().splitlines())
    text = "" if text.startswith(f"{type_.__name__}(") else f"{text}\n\n"
    rows = [
        f"| `{key}{field.encode_name}` | `{_default(field)}` | `{variable}{field.encode_name.upper()}` |"
        for field in _fields(type_)
    ]
    return text + "\n".join(["| key | default | variable |", "| --- | --- | --- |", *rows]) + "\n"


def _fields(type_: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    return [field for field in msgspec.structs.fields(type_) if field.name not in ("tables", "sources")]


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "-" if value is None else msgspec.json.encode(value).decode()


def _help(*words: str) -> str:
    environ = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "fnframe.cli", *words, "--help"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return f"$ fnframe {' '.join([*words, '--help'])}\n{done.stdout.rstrip()}"


if __name__ == "__main__":
    (REFERENCE / "settings.md").write_text(settings(), "utf-8")
    (REFERENCE / "commands.md").write_text(commands(), "utf-8")
