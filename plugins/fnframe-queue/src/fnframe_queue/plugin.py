"""What fnframe's plugin manager finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import hookimpl

from .trigger import Queue

if TYPE_CHECKING:
    from fnframe import Trigger


@hookimpl
def fnframe_register_triggers() -> list[type[Trigger]]:
    return [Queue]
