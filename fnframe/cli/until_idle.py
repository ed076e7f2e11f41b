"""`fnframe run --until-idle`: works off what is there and says what happened and what it used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from ..environment.target import directory_of
from ..errors import FnframeError
from ..runtime.run import run_target
from .errors import FAILED, complain, message_of, shown
from .lock import alone_in
from .output import counted, terminal
from .progress import Progress
from .survival import nothing_survives

if TYPE_CHECKING:
    from pathlib import Path

    from ..runtime.running import Running
    from .signals import Stop


async def run_until_idle(target: str, settings: dict[str, object], stop: Stop) -> int:
    """Exit status 0 if every event reached success or its destination, and that is remembered; else 1."""
    folder = directory_of(target) / ".fnframe"
    with alone_in(folder):
        return await _run(target, settings, stop, folder)


async def _run(target: str, settings: dict[str, object], stop: Stop, folder: Path) -> int:
    console = terminal(stop.lose_output)
    progress = Progress(console)
    nothing: list[str] = []
    waiting: list[str] = []
    problem = None
    try:
        async with run_target(target, settings=settings, serve="backlog", plugins=(progress,), durable=True) as running:
            progress.durable = running.engine.durable
            await _first(running, stop)
            if stop.signal is not None:
                console.print("ending: what runs may finish; a second signal ends it at once", style="dim")
            elif progress.filtered and not progress.events:
                nothing = [f"nothing to run: {counted(progress.filtered, 'event')} came, and no filter let one through"]
            elif not progress.events:
                nothing = await why_nothing(running, shown(str(folder)))
            waiting = [*not_served(running), *nothing_survives(running)]
    except (FnframeError, ExceptionGroup) as error:
        # Before the first invocation it is an error of the start; after it, what was done is told first.
        problem = message_of(error)
        if problem is None or not progress.has_begun:
            raise
    if progress.events:
        progress.summary()
    for line in nothing:
        console.print(line)
    for line in waiting:
        console.print(line, style="dim")
    if problem is not None:
        complain(problem)
        return FAILED
    if stop.signal is not None:
        console.print("interrupted: what was not finished waits for the next run")
        return stop.status
    return FAILED if progress.lost else 0


async def why_nothing(running: Running, folder: str) -> list[str]:
    """Whether an earlier run handled what is there, or nothing is there, or there is nowhere to look."""
    types = running.plugins.trigger_types
    kinds = {spec.kind for function in running.manifest.functions for spec in function.triggers}
    mappings = [mapping for kind in kinds if types[kind].has_backlog for mapping in running.mappings(types[kind])]
    if not mappings:
        return ["nothing to do: no function has a trigger whose events can wait, as files do"]
    for mapping in mappings:
        if await mapping.state.items():
            is_beside = "engine" not in running.settings.sources
            told = "nothing new: an earlier run handled what is there, says"
            if not is_beside:
                return [f"{told} the app's engine"]
            return [
                f"{told} {folder}",
                "  (without that folder all begins anew; it has what waits, dead letters and the ledger too)",
            ]
    return ["nothing to do: no event waits", *(f"  {function}: {text}" for function, text in running.started)]


def not_served(running: Running) -> list[str]:
    """Which functions wait for what comes from outside, which is not waited for here."""
    waiting: dict[str, list[str]] = {}
    for function in running.manifest.functions:
        for kind in dict.fromkeys(spec.kind for spec in function.triggers):
            if not running.plugins.trigger_types[kind].has_backlog:
                waiting.setdefault(kind, []).append(function.name)
    return [
        f"not served: {counted(len(names), f'{kind} function')} ({', '.join(names)}): for events from outside, "
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
