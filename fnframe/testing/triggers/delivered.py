"""Obligations of what a trigger does while it runs: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import anyio
import msgspec

from ..engines.obligation import ObligationBroken, require
from .obligation import obligation
from .world import World


@obligation()
async def it_says_that_it_is_ready(world: World) -> None:
    """`fnframe run` prints it: an address, a folder, a schedule. Until then nothing may count on the trigger."""
    async with world.running():
        if not world.told or not world.told.isprintable():
            raise ObligationBroken(f"task_status.started must be given one printable line, found {world.told!r}")


@obligation()
async def each_thing_that_happens_is_an_event_of_its_own(world: World) -> None:
    """Source and id together name an event everywhere: in deduplication, in records for destinations, on the bill."""
    async with world.running():
        for number in range(1, 4):
            await world.cause()
            await world.come(number)
        await world.settled()
    require(len(world.events), 3, "events, after three things happened")
    require(len({(event.source, event.id) for event in world.events}), 3, "names of events")
    for event in world.events:
        if not (event.id and event.source and event.type):
            raise ObligationBroken(f"an event has an id, a source and a type, found {event!r}")
        if event.time.tzinfo is None:
            raise ObligationBroken(f"an event's time has a zone, found {event.time!r}")


@obligation()
async def it_ends_when_it_is_cancelled_and_can_begin_again(world: World) -> None:
    """Stopping is cancellation, and a reload starts the trigger anew at once: it may leave no port, lock or task."""
    for number in range(1, 3):
        async with world.running() as host:
            await world.cause()
            await world.come(number)
            with anyio.fail_after(10):
                await host.stop()


@obligation("asynchronous", "polled")
async def what_was_handled_does_not_come_again(world: World) -> None:
    """A restart delivers what was missed, and repeats nothing that was done."""
    async with world.running() as host:
        await world.cause(2)
        await world.come(2)
        await host.delivery.drained()
    async with world.running():
        await world.settled()
    require(len(world.events), 2, "events, after a restart")


@obligation("asynchronous")
async def a_crash_before_it_was_noted_neither_loses_nor_doubles(world: World) -> None:
    """Between the engine's acceptance and what a trigger notes of it a host may die. Whether the trigger tells of the
    same once more then or not: the id must be the same, so that the engine takes it once."""
    async with world.running(crashes=True) as host:
        await world.cause()
        await world.until(host.accepted.is_set, "an event that is accepted")
    async with world.running():
        await world.come(1)
        await world.settled()
    require(len(world.events), 1, "events, after a crash and a restart")


@obligation("asynchronous", queue_bound=2)
async def a_full_queue_holds_it_up_and_loses_nothing(world: World) -> None:
    """`QueueFull` means later, and not never: functions are slow at times."""
    world.gate = anyio.Event()
    async with world.running():
        await world.cause(5)
        await world.settled()
        world.gate.set()
        await world.come(5)
    require(len({event.id for event in world.events}), len(world.events), "names of events")


@obligation("asynchronous", "polled")
async def what_a_filter_keeps_out_holds_up_nothing(world: World) -> None:
    """The core filters; a trigger goes on behind what did not fit, also when it begins anew without the filter."""
    filtered = msgspec.structs.replace(world.trigger, filter={"id": ["none that there is"]})
    async with world.running(filtered):
        await world.cause(2)
        await world.settled()
    require(world.events, [], "events that do not fit the filter")
    async with world.running():
        await world.cause()
        await world.come(1)
