"""A folder as an object store: a trigger that tells of complete files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bucket import Bucket, ObjectChanged, ObjectMissing
    from .objects import ObjectCreated, ObjectRemoved
    from .trigger import Files

_HOMES = {
    "Bucket": "bucket",
    "Files": "trigger",
    "ObjectChanged": "bucket",
    "ObjectCreated": "objects",
    "ObjectMissing": "bucket",
    "ObjectRemoved": "objects",
}

__all__ = ("Bucket", "Files", "ObjectChanged", "ObjectCreated", "ObjectMissing", "ObjectRemoved")


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing and a worker imports only the types that its app names.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_files' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
