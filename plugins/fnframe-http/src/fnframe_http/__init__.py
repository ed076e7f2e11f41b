"""Functions behind HTTP routes: stand-alone, or mounted in any ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .application import asgi, lifespan
    from .request import Request
    from .response import Response
    from .server import Address, serve_application
    from .trigger import Http

_HOMES = {
    "Address": "server",
    "Http": "trigger",
    "Request": "request",
    "Response": "response",
    "asgi": "application",
    "lifespan": "application",
    "serve_application": "server",
}

__all__ = ("Address", "Http", "Request", "Response", "asgi", "lifespan", "serve_application")


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing and a worker imports only the types that its app names.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_http' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
