"""What fnframe's plugin manager finds, by the entry point in pyproject.toml."""

from __future__ import annotations

from fnframe import Trigger, hookimpl

from .trigger import Sample


@hookimpl
def fnframe_register_triggers() -> list[type[Trigger]]:
    return [Sample]
