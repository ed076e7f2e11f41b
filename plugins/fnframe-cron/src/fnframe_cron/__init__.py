"""Schedules: a trigger that fires at times of a calendar, in a time zone, by stated rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .schedules import Schedule, Schedules
    from .tick import Tick
    from .trigger import Cron

_HOMES = {"Cron": "trigger", "Schedule": "schedules", "Schedules": "schedules", "Tick": "tick"}

__all__ = ("Cron", "Schedule", "Schedules", "Tick")


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing and a worker imports only the types that its app names.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_cron' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
