"""A trigger: a stream whose records a function handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .trigger import Stream

_HOMES = {"Stream": "trigger"}

__all__ = ("Stream",)


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing and a worker imports only the types that its app names.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_stream' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
