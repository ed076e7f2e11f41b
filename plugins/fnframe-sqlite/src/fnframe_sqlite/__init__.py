"""A durable engine: queues, streams and state in one SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import SqliteEngine

_HOMES = {"SqliteEngine": "engine"}

__all__ = ("SqliteEngine",)


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing where another engine is used.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_sqlite' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
