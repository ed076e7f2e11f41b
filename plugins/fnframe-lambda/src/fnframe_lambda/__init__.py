"""The AWS Lambda door: handlers, clients and runtimes that were written for Lambda work unmodified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .application import asgi
    from .declare import function
    from .serving import Endpoint, endpoint

_HOMES = {"Endpoint": "serving", "asgi": "application", "endpoint": "serving", "function": "declare"}

__all__ = ("Endpoint", "asgi", "endpoint", "function")


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_lambda' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
