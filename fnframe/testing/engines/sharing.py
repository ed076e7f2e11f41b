"""Obligations of shared engines: what holds between two tasks holds between two processes."""

from __future__ import annotations

import anyio

from ...engine.protocol import Message, Record
from .obligation import World, ids, obligation, put, require, until


@obligation("shared")
async def an_id_is_accepted_once_by_all(world: World) -> None:
    """Two nodes that fire one schedule send the same id: one message."""
    other = await world.another()
    require(await put(world.engine.queue("orders"), "a"), [True], "new here")
    require(await put(other.queue("orders"), "a", "b"), [False, True], "new there")
    require(await put(world.engine.queue("orders"), "b"), [False], "new here again")


@obligation("shared")
async def what_is_lent_here_cannot_be_had_there(world: World) -> None:
    """As between two pollers of one process, groups included; and it is settled by who holds it."""
    here, there = world.engine.queue("orders"), (await world.another()).queue("orders")
    await put(here, "a1", "a2", group="a")
    await put(here, "x", "y")
    held = await here.receive(1, world.lease)
    require(ids(held), ["a1"], "what is lent here")
    others = await world.received(there)
    require(sorted(ids(others)), ["x", "y"], "what can be had there")
    require(ids(await world.received(here)), [], "what is left")
    require((await here.statistics())[:4], (1, 0, 3, 0), "what is counted here")
    await held[0].ack()
    require(ids(await world.received(there)), ["a2"], "what can be had there when a1 is done here")
    await world.pass_time(world.lease)
    require(
        sorted(ids(await world.received(here))), ["a2", "x", "y"], "what can be had here when their leases are over"
    )
    require([await lease.extend(1.0) for lease in others], [False, False], "extended by who lost them")


@obligation("shared", "virtual time")
async def a_clock_that_is_set_back_makes_no_delay_shorter(world: World) -> None:
    """Of several nodes that see it, one alone may make up for it."""
    here, there = world.engine.queue("orders"), (await world.another()).queue("orders")
    await put(here, "a", delay=world.delay)
    world.set_clock(-3600.0)
    for _ in range(2):
        require([ids(await world.received(queue)) for queue in (here, there)], [[], []], "what can be had before")
        await world.pass_time(world.delay / 2)
    require(ids(await world.received(there)), ["a"], "what can be had when the delay is over")


@obligation("shared")
async def who_waits_there_is_woken_by_what_is_sent_here(world: World) -> None:
    """Within a moment: a message must not wait for a poller that sleeps."""
    here, there = world.engine, await world.another()
    for number in range(5):
        got: list[str] = []

        async def receive(got: list[str] = got) -> None:
            got.extend(ids(await there.queue("orders").receive(1, world.lease)))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(receive)
                await anyio.sleep(0.01)
                await put(here.queue("orders"), str(number))
        require(got, [str(number)], "what the one who waited there got")


@obligation("shared")
async def who_reads_there_is_woken_by_what_is_published_here(world: World) -> None:
    """As with queues: a consumer of a stream may be in another process than who publishes."""
    here, there = world.engine.stream("clicks"), (await world.another()).stream("clicks")
    await here.publish([Record("key", b"1")])
    (partition,) = [number for number in range(here.partitions) if (await here.bounds(number)).last]
    got: list[bytes] = []

    async def read() -> None:
        got.extend(record.body for record in await there.read(partition, 1, 1, wait=1e9))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.sleep(0.01)
            await here.publish([Record("key", b"2")])
    require(got, [b"2"], "what the one who waited there read")


@obligation("shared")
async def partitions_are_shared_by_all_consumers(world: World) -> None:
    """Consumers of one group live in several processes: none has a partition that another has."""
    here, there = world.engine.stream("clicks"), (await world.another()).stream("clicks")
    require(there.partitions, here.partitions, "partitions there")
    require(await here.join("group", "here", world.lease), 1, "consumers, with one here")
    require(await there.join("group", "there", world.lease), 2, "consumers, with one there too")
    mine = await here.claim("group", "here", 1, world.lease)
    rest = await there.claim("group", "there", 100, world.lease)
    found = sorted(claim.partition for claim in [*mine, *rest])
    require(found, list(range(here.partitions)), "partitions of both")
    await mine[0].commit(b"here")
    await mine[0].release()
    (again,) = await there.claim("group", "there", 100, world.lease)
    require(again.checkpoint, b"here", "the checkpoint that was committed here")


@obligation("shared")
async def state_is_shared(world: World) -> None:
    """Of all who compare, in whichever process, one sets; and everybody sees it at once."""
    engines = [world.engine, await world.another(), await world.another()]
    won: list[int] = []

    async def attempt(number: int) -> None:
        if await engines[number % 3].state("cron").compare_and_set("leader", None, str(number).encode()):
            won.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(attempt, number)
    require(len(won), 1, "how many won")
    for engine in engines:
        require(await engine.state("cron").get("leader"), str(won[0]).encode(), "who is the leader")


@obligation("shared")
async def nobody_starves_whatever_the_others_take(world: World) -> None:
    """Several processes wait for one queue, and each works on what it got before it asks again: each gets a share."""
    engines = [world.engine, await world.another(), await world.another()]
    served = dict.fromkeys(range(3), 0)

    async def consume(number: int, scope: anyio.CancelScope) -> None:
        while True:
            for lease in await engines[number].queue("orders").receive(1, world.lease):
                served[number] += 1
                await lease.ack()
            if sum(served.values()) == 60:
                scope.cancel()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(consume, number, tasks.cancel_scope)
            for number in range(60):
                await engines[0].queue("orders").send([Message(str(number), b"")])
                await until(lambda: sum(served.values()) > number - 3, "somebody who is served")  # noqa: B023
    require(min(served.values()) >= 5, True, f"whether each of three got five of sixty at least: {served}")
