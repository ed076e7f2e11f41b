"""Obligations of queues: messages of one group keep their order, whatever happens to them."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from ...engine.protocol import Message
from .obligation import World, ids, obligation, put, require


@obligation()
async def a_group_is_lent_to_one_at_a_time(world: World) -> None:
    """The second of a group may depend on what the first did: it waits until the first is settled. Other groups, and
    messages without one, do not wait."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", "a3", group="a")
    await put(queue, "b1", group="b")
    await put(queue, "x")
    first = await world.one(queue)
    require((first.message.id, first.message.group), ("a1", "a"), "the first message, and its group")
    others = await world.received(queue)
    require(sorted(ids(others)), ["b1", "x"], "what can be had while a1 is lent")
    await queue.ack(others)
    for settled, following in (("a1", "a2"), ("a2", "a3")):
        await first.ack()
        first = await world.one(queue)
        require(first.message.id, following, f"what can be had when {settled} is done")
    await first.ack()
    await put(queue, "a4", group="a")
    require(ids(await world.received(queue)), ["a4"], "what can be had of a group that was empty")


@obligation()
async def a_batch_may_hold_several_of_a_group_in_their_order(world: World) -> None:
    """One holder works on them one after the other; the group goes on when all of them are settled."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", "a3", group="a")
    leases = await queue.receive(2, world.lease)
    require(ids(leases), ["a1", "a2"], "a batch of two")
    await leases[0].ack()
    require(ids(await world.received(queue)), [], "what can be had while a2 is lent")
    await leases[1].ack()
    require(ids(await world.received(queue)), ["a3"], "what can be had when both are done")


@obligation()
async def a_batch_keeps_the_order_within_each_of_its_groups(world: World) -> None:
    """Groups may be mixed in a batch; the order within each may not."""
    queue = world.engine.queue("orders")
    names = [f"{group}{number}" for number in range(5) for group in "abc"]
    await queue.send([Message(name, b"", name[0]) for name in names])
    came = ids(await queue.receive(100, world.lease))
    for group in "abc":
        expected = [name for name in names if name.startswith(group)]
        require([name for name in came if name.startswith(group)], expected, f"the order of group {group}")


@obligation()
async def one_that_is_released_keeps_its_place(world: World) -> None:
    """A failed message is tried again before those behind it, and they wait for its delay; one of a batch that was
    acknowledged does not come again."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", "a3", "a4", group="a")
    leases = await queue.receive(3, world.lease)
    await leases[1].release(world.delay, counted=True)
    await leases[2].release(0.0, counted=False)
    await leases[0].ack()
    await put(queue, "x")
    require(ids(await world.received(queue)), ["x"], "what can be had while a2 is delayed")
    await world.pass_time(world.delay)
    found = [(lease.message.id, lease.message.attempt) for lease in await world.received(queue)]
    require(found, [("a2", 2), ("a3", 1), ("a4", 1)], "what can be had then")


@obligation()
async def one_whose_lease_is_over_keeps_its_place(world: World) -> None:
    """A host that dies must not let the second overtake the first."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", "a3", group="a")
    leases = await queue.receive(2, world.lease)
    await leases[1].extend(3 * world.lease)
    await world.pass_time(world.lease)
    require(ids(await world.received(queue)), [], "what can be had while a2 is still lent")
    await leases[1].ack()
    found = [(lease.message.id, lease.message.lost) for lease in await world.received(queue)]
    require(found, [("a1", 1), ("a3", 0)], "what can be had when only a1's lease was lost")


@obligation()
async def one_that_was_sent_to_come_later_holds_up_its_group(world: World) -> None:
    """The order of a group is that of acceptance, also where the first has a delay."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", group="a")
    await put(queue, "a2", group="a", delay=world.delay)
    await put(queue, "a3", group="a")
    leases = await world.received(queue)
    require(ids(leases), ["a1"], "what can be had before a2")
    await queue.ack(leases)
    require(ids(await world.received(queue)), [], "what can be had while a2 is delayed")
    await world.pass_time(world.delay)
    require(ids(await world.received(queue)), ["a2", "a3"], "what can be had then")


@obligation()
async def one_that_is_buried_lets_its_group_go_on(world: World) -> None:
    """A message that cannot be done must not block those behind it for ever."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", group="a")
    await (await world.one(queue)).bury("no use")
    require(ids(await world.received(queue)), ["a2"], "what can be had when a1 is dead")


@obligation()
async def one_who_waits_is_woken_when_a_group_goes_on(world: World) -> None:
    """What is behind a message that is settled can be had at once, not at the next look."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", group="a")
    first = await world.one(queue)
    got: list[str] = []

    async def receive() -> None:
        got.extend(ids(await queue.receive(5, world.lease)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.sleep(0.01)
        await first.ack()
    require(got, ["a2"], "what the one who waited got")


@obligation()
async def groups_keep_their_order_under_load(world: World) -> None:
    """Several pollers, batches, and messages that are given back: each group is done in its order."""
    queue = world.engine.queue("orders")
    groups, each = "abcd", 25
    for number in range(each):
        await queue.send([Message(f"{group}{number:02}", b"", group) for group in groups])
    done: dict[str, list[str]] = {group: [] for group in groups}
    tried: set[str] = set()

    async def consume(scope: anyio.CancelScope, most: int) -> None:
        while sum(map(len, done.values())) < len(groups) * each:
            failed: set[str] = set()
            for lease in await queue.receive(most, world.lease):
                name, group = lease.message.id, lease.message.id[0]
                await anyio.lowlevel.checkpoint()
                if group in failed or (name not in tried and name.endswith("7")):
                    failed.add(group)
                    tried.add(name)
                    await lease.release(0.0, counted=True)
                else:
                    done[group].append(name)
                    await lease.ack()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        for most in (1, 3, 4):
            tasks.start_soon(consume, tasks.cancel_scope, most)
    for group in groups:
        require(done[group], [f"{group}{number:02}" for number in range(each)], f"the order of group {group}")
