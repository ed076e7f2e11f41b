"""Obligations of a trigger to which something happens: what is handed over, and when the outside may believe it."""

from __future__ import annotations

import anyio
from msgspec.structs import replace

from ...event import JSON
from ..obligation import ObligationBroken, require, until
from . import obligation as kit
from .obligation import World, obligation


@obligation("happen")
async def what_happens_reaches_the_function(world: World) -> None:
    """It is what a trigger is for. The attributes are those of CloudEvents: logs, filters and destinations use them."""
    async with world.serving():
        await world.happens(1)
        await world.delivered(1)
    (event,) = world.events
    for name in ("id", "source", "type"):
        if not isinstance(getattr(event, name), str) or not getattr(event, name):
            raise ObligationBroken(f"`{name}` of an event: expected a text, found {getattr(event, name)!r}")
    if event.time.tzinfo is None:
        raise ObligationBroken(f"`time` of an event: expected one with a time zone, found {event.time!r}")
    if event.datacontenttype == JSON:
        event.value()


@obligation("happen")
async def each_event_is_another(world: World) -> None:
    """Of two events with one id and one source the second is taken for a repetition, and is not run; also after a
    reload or a restart, so a number that begins anew is no id."""
    async with world.serving():
        for number in (1, 2):
            await world.happens(number)
        await world.delivered(2)
    async with world.serving():
        await world.happens(3)
        await world.delivered(3)
    require(len({(event.source, event.id) for event in world.events}), 3, "different events, of three that happened")


@obligation("happen")
async def a_function_that_fails_does_not_end_it(world: World) -> None:
    """A function's failure is a value, told to who waits for it; what the trigger raises ends the app for everybody."""
    world.fails = True
    async with world.serving():
        await world.happens(1)
        await world.delivered(1)
        world.fails = False
        seen = len(world.events)
        await world.happens(2)
        await world.delivered(seen + 1)


@obligation("happen", "accepted")
async def a_full_queue_does_not_end_it(world: World) -> None:
    """`enqueue` raises `QueueFull` when events come faster than they are handled. That passes: wait and offer the event
    again, or tell the outside to; an exception that leaves `run` ends the app."""
    if world.mapping.trigger.invocation_type == "polled":
        return  # What is polled waits in its queue.
    world.client.faults.refuse_send("probe")
    async with world.serving():
        await world.happens(1)
        await until(lambda: not world.client.faults.unmet(), "an event that is offered to the queue", kit.PATIENCE)
        await world.happens(2)
        await world.delivered(1)


@obligation("happen", "accepted")
async def it_asks_its_filter(world: World) -> None:
    """What a user's filter does not let through must not run. `mapping.enqueue` asks it; who gathers events before asks
    `mapping.passes`."""
    trigger = replace(world.case.trigger, filter={"source": ["a source that no event has"], "id": ["nor this id"]})
    async with world.serving(world.client.running.mapping("probe", trigger)):
        await world.happens(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world._turn_clock)
            await until(
                lambda: world.client.heard.filtered or world.events, "an event that is filtered, or not", kit.PATIENCE
            )
            tasks.cancel_scope.cancel()
    require([event.type for event in world.events], [], "events that ran although the filter fits none")


@obligation("happen", "acknowledged")
async def nothing_is_acknowledged_before_it_is_accepted(world: World) -> None:
    """What the outside believes to be done it forgets. An acknowledgement before the engine has the event (before the
    function returned, where somebody waits for it) loses the event when the host dies in between."""
    assert world.case.acknowledged is not None
    acknowledged = world.case.acknowledged
    awaited = world.mapping.trigger.is_awaited()
    hold = world.client.faults.hold_send("probe")
    world.gate = anyio.Event()
    async with world.serving(), anyio.create_task_group() as tasks:
        before = acknowledged()
        tasks.start_soon(world.happens, 1)
        if awaited:
            hold.release()
            await until(lambda: world.client.heard.in_progress, "an invocation", kit.PATIENCE)
        else:
            await until(hold.reached.is_set, "an event that is offered to the queue", kit.PATIENCE)
        for _ in range(20):
            await anyio.sleep(0.001)
            require(acknowledged(), before, "events that the outside believes to be done before they are accepted")
        hold.release()
        world.gate.set()
        await world.delivered(1)
        what = "the acknowledgement of an event that was accepted"
        await until(lambda: acknowledged() == before + 1, what, kit.PATIENCE)


@obligation("happen", "again", "accepted")
async def what_is_told_again_is_the_same_event(world: World) -> None:
    """The outside repeats what it is not sure of, and so does a trigger that begins again. Only an id that is made of
    what happened, and not of when it was seen, lets the engine know it again."""
    assert world.case.again is not None
    async with world.serving():
        await world.happens(1)
        await world.delivered(1)
        await world.case.again(1)
        await world.happens(2)
        await world.delivered(2)
    require(len({event.id for event in world.events}), 2, "different events, of two that happened, one told twice")
    require(len(world.events), 2, "events that ran")
