"""What the commands share that look into an app's engine, while the app runs elsewhere or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import settings_of
from .signals import Stop, run_async
from .standard_output import tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ..engine.protocol import Engine
    from ..sending import Target


def with_engine(
    target: str, assignments: Sequence[str], command: Callable[[Engine], Awaitable[int]], *, of: Target | None = None
) -> int:
    """Run a command with the engine that the app, or one queue or stream of it, has under `fnframe run`; its status."""

    async def run(_: Stop) -> int:
        from ..runtime.open_engine import open_engine

        async with open_engine(target, settings=settings_of(assignments), of=of) as engine:
            return await command(engine)

    return run_async(run)


def told_as_json(value: Any) -> int:
    """Print a value for programs; the exit status."""
    import msgspec

    tell(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    return 0
