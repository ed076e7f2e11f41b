"""`fnframe run --until-idle`: works off what is there and says what happened and what it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from ..environment.target import directory_of
from ..runtime.running import run_target
from .errors import shown
from .output import counted, terminal
from .progress import Progress

if TYPE_CHECKING:
    from ..runtime.running import Running
    from .signals import Stop

LOST = 1


async def run_until_idle(target: str, settings: dict[str, object], stop: Stop) -> int:
    """Exit status 0 if every event reached success or its destination, else 1."""
    console = terminal()
    progress = Progress(console)
    state = directory_of(target) / ".fnframe" / "state"
    async with run_target(target, settings=settings, serve="backlog", plugins=(progress,), state_file=state) as running:
        await _first(running, stop)
        waiting = not_served(running)
        if stop.signal is not None:
            console.print("ending: what runs may finish; a second signal ends it at once", style="dim")
    progress.summary(shown(str(state)))
    for line in waiting:
        console.print(f"not served: {line}", style="dim")
    if stop.signal is not None:
        console.print("interrupted: what was not finished waits for the next run")
        return stop.status
    return LOST if progress.lost else 0


def not_served(running: Running) -> list[str]:
    """Which functions wait for what comes from outside, which is not waited for here."""
    waiting: dict[str, list[str]] = {}
    for function in running.manifest.functions:
        for kind in dict.fromkeys(spec.kind for spec in function.triggers):
            if not running.plugins.trigger_types[kind].has_backlog:
                waiting.setdefault(kind, []).append(function.name)
    return [
        f"{counted(len(names), f'{kind} function')} ({', '.join(names)}): for events from outside, "
        "use `fnframe run` without --until-idle"
        for kind, names in waiting.items()
    ]


async def _first(running: Running, stop: Stop) -> None:
    """Return when all is done, or when a signal came."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stopped, stop, tasks.cancel_scope)
        await running.drained()
        tasks.cancel_scope.cancel()


async def _stopped(stop: Stop, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()
