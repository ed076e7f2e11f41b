"""Obligations of a trigger that runs: it begins, goes on, ends, and leaves nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from ..leftovers import children
from ..obligation import ObligationBroken, require
from .obligation import World, obligation

LOOKS = 1000
"""How often, a millisecond apart, for what is just ending. Counted: on a busy machine one may take a second."""


@obligation()
async def it_says_when_it_is_ready(world: World) -> None:
    """The app has started when all triggers are ready: without a word it would wait for ever, and one that speaks too
    early loses what comes first."""
    async with world.serving():
        text = world.started
    if not isinstance(text, str) or not text or not text.isprintable():
        raise ObligationBroken(f"`task_status.started(text)`: expected one printable line for a person, found {text!r}")


@obligation()
async def it_runs_until_it_is_cancelled(world: World) -> None:
    """Who returns has stopped to listen, and nobody notices: the app runs on without its events."""
    async with world.serving():
        for _ in range(100):
            await checkpoint()
        await anyio.sleep(0.02)


@obligation()
async def it_ends_when_it_is_cancelled(world: World) -> None:
    """Stopping is cancellation, and there is no other word for it: a trigger that goes on holds up the end of the app
    until the system kills it, and what was accepted with it."""
    async with world.serving():
        await anyio.sleep(0.01)


@obligation()
async def it_leaves_nothing_behind(world: World) -> None:
    """A reload ends a trigger and starts another: tasks, threads, child processes and open files that stay behind add
    up, and a task that goes on hands over events for an app that is gone. Start tasks in a task group of `run`."""
    async with world.serving():  # What the first run loads, it may keep.
        pass
    before = _things()
    async with world.serving():
        pass
    await _require_nothing_new(before, "what is left when it has ended")


@obligation()
async def it_can_be_served_again(world: World) -> None:
    """After a reload the same trigger is served once more, right after the one before: its port, its lock and its
    connection must be free."""
    for _ in range(3):
        async with world.serving():
            await checkpoint()


@obligation()
async def it_may_be_cancelled_before_it_is_ready(world: World) -> None:
    """Ctrl-C comes when it comes: what was half opened must be closed."""
    async with world.serving():
        pass
    before = _things()
    for turns in range(8):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_serve, world)
            for _ in range(turns):
                await checkpoint()
            tasks.cancel_scope.cancel()
    await _require_nothing_new(before, "what is left when it was cancelled while it began")


async def _serve(world: World) -> None:
    async with world.serving():
        await anyio.sleep_forever()


async def _require_nothing_new(before: set[str], what: str) -> None:
    for _ in range(LOOKS):
        if not _new(before):
            return
        await anyio.sleep(0.001)
    require(_new(before), [], what)


def _things() -> set[str]:
    """What this process has: tasks, threads, children, descriptors."""
    tasks = {f"the task {task.name!r} ({task.id})" for task in anyio.get_running_tasks()}
    threads = {
        f"the thread {thread.name!r} ({thread.native_id})" for thread in threading.enumerate() if not _is_pooled(thread)
    }
    processes = {f"the child process {pid}" for pid in children()}
    return tasks | threads | processes | {f"the open file {name}" for name in _files()}


def _new(before: set[str]) -> list[str]:
    return sorted(_things() - before)


def _is_pooled(thread: threading.Thread) -> bool:
    """Whether it belongs to a pool that anyio, trio or asyncio keeps for who asks."""
    is_trios = thread.daemon and " from " in thread.name  # As trio names one while it works; "Trio thread" before.
    return is_trios or type(thread).__name__ == "WorkerThread" or thread.name.startswith(("Trio thread", "asyncio_"))


def _files() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(f"{entry.name} -> {entry.readlink()}")
        except OSError:
            continue  # The one with which this list is read.
    return found
