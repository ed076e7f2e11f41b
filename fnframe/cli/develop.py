"""What `fnframe dev` does: serve, watch the app's folder, reload."""

from __future__ import annotations

import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import watchfiles

from ..environment.target import directory_of
from ..runtime.run import run_target
from .errors import message_of
from .output import counted, duration, terminal
from .screen import Screen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ..function import Manifest
    from ..runtime.running import Running
    from .signals import Stop

    Changes = AsyncGenerator[set[tuple[watchfiles.Change, str]], None]

SETTLE_MS = 200
"""How long a burst of changes is gathered: an editor writes a file in several steps."""

WAKE_MS = 100
"""How often the watch says that nothing changed."""

READ_AT_START = ("fnframe.toml", "pyproject.toml", "fnframe_plugins.py")


class Sources(watchfiles.DefaultFilter):
    """Python and TOML files, outside of what tools and virtual environments write."""

    ignore_dirs = (*watchfiles.DefaultFilter.ignore_dirs, ".fnframe", ".ruff_cache")

    def __call__(self, change: watchfiles.Change, path: str) -> bool:
        return path.endswith((".py", ".toml")) and super().__call__(change, path)


async def develop(target: str, settings: dict[str, Any], stop: Stop) -> int:
    """Serve until a signal. What is wrong at the start raises; what goes wrong later is told, and mended."""
    directory = directory_of(target)
    screen = Screen(terminal(stop.lose_output), directory)
    changes = _watch(directory, stop)
    try:
        async with aclosing(changes):
            # One watch for all, begun by its first time-out: no change is missed while the code loads or reloads.
            await anext(changes, None)
            await _session(target, settings, screen, stop, changes)
            while not stop.asked.is_set():
                await _try_again(target, settings, screen, stop, changes)
    finally:
        if stop.signal is not None:
            screen.note("ended")
    return stop.status


async def _watch(directory: Path, stop: Stop) -> Changes:
    while not stop.asked.is_set():
        changes = watchfiles.awatch(
            directory,
            watch_filter=Sources(),
            debounce=SETTLE_MS,
            step=50,
            rust_timeout=WAKE_MS,
            yield_on_timeout=True,
            stop_event=stop.asked,
        )
        try:
            async with aclosing(changes):
                async for changed in changes:
                    yield changed
        except* RuntimeError as group:
            # Anybody's file may have a name that is no text, in a folder of uploads say: that ends watchfiles' watch.
            if any("Unable to decode path" not in str(error) for error in group.exceptions):
                raise


async def _try_again(target: str, settings: dict[str, Any], screen: Screen, stop: Stop, changes: Changes) -> None:
    try:
        await _session(target, settings, screen, stop, changes)
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        screen.problem(message, "not serving; waiting for the next change")
        async for changed in changes:
            if changed:
                return


async def _session(target: str, settings: dict[str, Any], screen: Screen, stop: Stop, changes: Changes) -> None:
    """Serve until a signal, or until a file changes that is read at start only."""
    async with run_target(target, settings=settings, plugins=(screen,), debug=True, durable=True) as running:
        stop.in_order()
        screen.show(running)
        async for changed in changes:
            if not changed:
                continue
            paths = [Path(path) for _, path in changed]
            if any(path.parent == screen.directory and path.name in READ_AT_START for path in paths):
                screen.note("settings or plugins changed: starting anew")
                return
            await _reload(running, screen)
        if screen.in_progress:
            what = f"{counted(screen.in_progress, 'invocation')} may take {running.settings.grace:g} s to finish"
            screen.note(f"ending: {what}; Ctrl-C again ends all at once")


async def _reload(running: Running, screen: Screen) -> None:
    begun = time.perf_counter()
    before = running.manifest
    try:
        after = await running.reload()
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        screen.problem(message, "still serving the code from before")
        return
    screen.note(f"reloaded in {duration((time.perf_counter() - begun) * 1000)}")
    if _visible(before) != _visible(after):
        screen.show(running)


def _visible(manifest: Manifest) -> list[tuple[Any, ...]]:
    # Not the whole functions: they know their lines, which move with every edit.
    return [(f.name, f.memory, f.timeout, f.triggers) for f in manifest.functions]
