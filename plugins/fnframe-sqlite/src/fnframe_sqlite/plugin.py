"""What fnframe's plugin manager finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import hookimpl

if TYPE_CHECKING:
    from fnframe.engine.protocol import Engine, EngineFactory, EngineOptions


@hookimpl
def fnframe_register_engines() -> dict[str, EngineFactory]:
    return {"sqlite": sqlite_engine}


def sqlite_engine(url: str, options: EngineOptions) -> Engine:
    """What makes an engine of a URL. Imported late: SQLite is of no use to an app that names another engine."""
    from .engine import SqliteEngine

    return SqliteEngine(url, options)
