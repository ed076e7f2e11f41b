"""Obligations of durable engines: what was accepted is there when the engine is opened again."""

from __future__ import annotations

from ...engine.protocol import REPORTS, Message, Record
from .obligation import World, ids, obligation, put, require
from .reports import a_report, kept


@obligation("durable")
async def messages_outlive_the_engine(world: World) -> None:
    """With their attempts, their delays and their order; what was settled stays settled, and ids stay known."""
    queue = world.engine.queue("orders")
    await put(queue, "done", "retried", "waiting")
    await put(queue, "delayed", delay=world.lease)
    large = bytes(range(256)) * 1000
    await queue.send([Message("large", large)])
    leases = await queue.receive(2, world.lease)
    accepted = leases[1].message.accepted
    await leases[0].ack()
    await leases[1].release(0.0, counted=True, lost=True)
    queue = (await world.reopen()).queue("orders")
    require((await queue.statistics())[:4], (3, 1, 0, 0), "what the queue holds")
    again = await world.received(queue)
    require(sorted(ids(again)), ["large", "retried", "waiting"], "what can be had")
    messages = {lease.message.id: lease.message for lease in again}
    retried = messages["retried"]
    require((retried.attempt, retried.lost, retried.accepted), (2, 1, accepted), "attempt, lost and accepted")
    require(messages["large"].body == large, True, "whether a large body is what it was")
    require(await put(queue, "done", "delayed", "waiting", "new"), [False, False, False, True], "new")
    await queue.ack(again)
    await world.pass_time(world.lease)
    require(sorted(ids(await world.received(queue))), ["delayed", "new"], "what can be had after the delay")


@obligation("durable")
async def groups_outlive_the_engine(world: World) -> None:
    """Their order too: with a message that waits for its delay in front."""
    queue = world.engine.queue("orders")
    await put(queue, "a1", "a2", "a3", group="a")
    leases = await queue.receive(2, world.lease)
    await leases[0].release(world.delay, counted=True)
    await leases[1].release(0.0, counted=False)
    queue = (await world.reopen()).queue("orders")
    require(ids(await world.received(queue)), [], "what can be had before the delay is over")
    await world.pass_time(world.delay)
    require(ids(await world.received(queue)), ["a1", "a2", "a3"], "what can be had after it")


@obligation("durable")
async def what_a_dead_holder_held_comes_back_when_its_lease_is_over(world: World) -> None:
    """The host died: what it held is lost to it, and to nobody else."""
    queue = world.engine.queue("orders")
    stream = world.engine.stream("clicks")
    await put(queue, "a")
    await world.one(queue)
    (claim, *_) = await stream.claim("group", "one", 100, world.lease)
    await claim.commit(b"checkpoint")
    engine = await world.reopen()
    await world.pass_time(world.lease)
    require(ids(await world.received(engine.queue("orders"))), ["a"], "what can be had")
    claims = await engine.stream("clicks").claim("group", "two", 100, world.lease)
    require(len(claims), stream.partitions, "partitions that can be claimed")
    checkpoint = {again.partition: again.checkpoint for again in claims}[claim.partition]
    require(checkpoint, b"checkpoint", "the checkpoint")


@obligation("durable")
async def dead_letters_outlive_the_engine(world: World) -> None:
    """Somebody will look at them when the night is over."""
    queue = world.engine.queue("orders")
    for name in "ab":
        await put(queue, name)
        await (await world.one(queue)).bury(f"reason {name}", b"{}")
    queue = (await world.reopen()).queue("orders")
    found = [(letter.message.id, letter.message.body, letter.reason) for letter in await queue.dead_letters()]
    require(found, [("a", b"a", "reason a"), ("b", b"b", "reason b")], "dead letters")
    require(await queue.redrive(["a"]), 1, "driven again")
    require(ids(await world.received(queue)), ["a"], "what can be had")


@obligation("durable")
async def streams_outlive_the_engine(world: World) -> None:
    """Records, positions, partitions and checkpoints: a reader goes on as if nothing had been."""
    stream = world.engine.stream("clicks")
    partitions = stream.partitions
    await stream.publish([Record("key", b"1", "id"), Record("key", b"2")])
    stream = (await world.reopen()).stream("clicks")
    require(stream.partitions, partitions, "partitions")
    require(await stream.publish([Record("key", b"again", "id"), Record("key", b"3")]), [False, True], "new")
    found = [(r.position, r.body) for p in range(partitions) for r in await stream.read(p, 0, 10)]
    require(found, [(1, b"1"), (2, b"2"), (3, b"3")], "records")
    require(await world.engine.streams(), ["clicks"], "streams that hold records")


@obligation("durable")
async def state_and_reports_outlive_the_engine(world: World) -> None:
    """The manifest of what was delivered, and what the bill is made of."""
    await world.engine.state("files").put("a", b"\x00\xff")
    queue = world.engine.queue("orders")
    await put(queue, "a")
    await (await world.one(queue)).ack(a_report("a"))
    engine = await world.reopen()
    require(await engine.state("files").items(), [("a", b"\x00\xff")], "state")
    require(await kept(engine), ["a 1"], f"records of {REPORTS}")
