"""What is told where events wait in memory although nobody asked for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runtime.running import Running


def nothing_survives(running: Running) -> list[str]:
    """A line about it; none where the engine is durable, or was named in the settings."""
    if running.engine.durable or "engine" in running.settings.sources:
        return []
    return ["events wait in memory: nothing of them survives this process; install fnframe-sqlite to keep them"]
