"""Obligations of an environment that is ended: at its limits, by itself, by its caller, with the app."""

from __future__ import annotations

import time

import anyio

from ...outcome import CANCELLED, EXITED, OUT_OF_MEMORY, TIMED_OUT, Failure
from ..leftovers import children, command_of
from ..obligation import ObligationBroken, require, until
from .obligation import World, obligation

LATE = 2.0
"""Seconds: far more than an end takes, so that a busy machine breaks nothing."""


@obligation()
async def it_is_ended_at_its_timeout(world: World) -> None:
    """Whatever the handler does, the caller has an answer at its timeout, and the next invocation works."""
    timeout = world.client.running.dispatcher.function(world.case.hangs).timeout
    begun = time.monotonic()
    outcome = await world.client.invoke(world.case.hangs)
    took = time.monotonic() - begun - (outcome.report.init_duration_ms or 0) / 1000
    _require_end(outcome, TIMED_OUT)
    if not timeout * 0.9 <= took <= timeout + LATE:
        raise ObligationBroken(f"expected an end after {timeout} s, found one after {took:.2f} s")
    await world.works()


@obligation("grows")
async def it_is_ended_at_its_memory(world: World) -> None:
    """One function that takes all memory takes it from everybody on the machine."""
    assert world.case.grows is not None
    _require_end(await world.client.invoke(world.case.grows), OUT_OF_MEMORY)
    await world.works()


@obligation("exits")
async def its_end_is_told(world: World) -> None:
    """A process that goes away leaves its caller an answer, at once, and the next caller an environment."""
    assert world.case.exits is not None
    outcome = await world.client.invoke(world.case.exits)
    _require_end(outcome, EXITED)
    again = await world.client.invoke(world.case.exits)
    if outcome.report.environment_id == again.report.environment_id:
        raise ObligationBroken("expected another environment after one that ended, found the same")
    await world.works()


@obligation()
async def a_caller_who_goes_away_ends_it(world: World) -> None:
    """Nobody waits for the answer: it would use the machine for nothing, and its late reply must answer nobody else."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.client.invoke, world.case.hangs)
            await until(lambda: world.client.heard.in_progress or world.client.heard.reports, "an invocation")
            await anyio.sleep(0.05)
            scope.cancel()
    await until(lambda: world.client.heard.reports, "the report of an invocation whose caller went away", LATE)
    require(world.client.heard.reports[0].outcome, CANCELLED, "its outcome")
    await world.works()


@obligation()
async def it_is_used_again(world: World) -> None:
    """Init is paid once: the second invocation finds what the first one warmed."""
    for _ in range(3):
        await world.works()
    reports = world.client.heard.of(world.case.echo)
    if reports[0].memory_method == "unavailable":
        return  # It has no environment of its own.
    require(len({report.environment_id for report in reports}), 1, "environments of three invocations, one by one")
    require([report.init_duration_ms for report in reports[1:]], [None, None], "what later ones waited for an init")


@obligation()
async def it_ends_with_the_app(world: World) -> None:
    """Who embeds an app gets its machine back: no process outlives the run."""
    await world.works()
    await world.close()
    with anyio.move_on_after(LATE):
        while children() - world.children:  # noqa: ASYNC110  what is just ending is not left
            await anyio.sleep(0.001)
    left = {pid: command_of(pid) for pid in children() - world.children}
    require(left, {}, "child processes that are left when the app has ended")


def _require_end(outcome: object, error_type: str) -> None:
    if not isinstance(outcome, Failure) or outcome.error_type != error_type:
        raise ObligationBroken(f"expected the failure {error_type}, found {outcome!r}")
    require(outcome.kind, "ended", "which failure it was")
