"""What fnframe's plugin manager finds, by the entry point in pyproject.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import ConfigurationError, hookimpl

from .memory import MemoryEngine

if TYPE_CHECKING:
    from fnframe.engine.protocol import EngineFactory, EngineOptions


@hookimpl
def fnframe_register_engines() -> dict[str, EngineFactory]:
    return {"sample": sample_engine}


def sample_engine(url: str, options: EngineOptions) -> MemoryEngine:
    """What makes the engine of its URL; nothing is opened before it is entered. Raises `ConfigurationError`."""
    if url != "sample:":
        raise ConfigurationError(f"this engine has the URL 'sample:', found {url!r}")
    return MemoryEngine(options)
