"""Obligations of streams: a partition belongs to one consumer of a group at a time, who knows how far it is done."""

from __future__ import annotations

from ...engine.protocol import Record
from .obligation import World, obligation, require


@obligation()
async def a_partition_is_claimed_by_one_of_a_group(world: World) -> None:
    """Two that read one partition for the same group would do everything twice, and in no order."""
    stream = world.engine.stream("clicks")
    first = await stream.claim("group", "one", 1, world.lease)
    require(len(first), 1, "partitions, of one that was asked for")
    rest = await stream.claim("group", "two", 100, world.lease)
    found = sorted(claim.partition for claim in [*first, *rest])
    require(found, list(range(stream.partitions)), "partitions of both consumers")
    require(list(await stream.claim("group", "one", 100, world.lease)), [], "partitions that are left")
    other = await stream.claim("other", "one", 100, world.lease)
    require(len(other), stream.partitions, "partitions that another group may claim")
    await first[0].release()
    again = await stream.claim("group", "two", 100, world.lease)
    require([claim.partition for claim in again], [first[0].partition], "partitions after one was released")


@obligation()
async def the_next_holder_begins_where_the_last_one_committed(world: World) -> None:
    """A checkpoint is the group's, not the consumer's: what is done stays done, whoever goes on."""
    stream = world.engine.stream("clicks")
    (claim, *_) = await stream.claim("group", "one", 100, world.lease)
    require(claim.checkpoint, b"", "the checkpoint of a partition that nobody read")
    require(await claim.commit(b"\x00first"), True, "committed")
    require(await claim.commit(b"second"), True, "committed again")
    await claim.release()
    (again,) = await stream.claim("group", "two", 1, world.lease)
    require((again.partition, again.checkpoint), (claim.partition, b"second"), "partition and checkpoint of the next")
    (other, *_) = await stream.claim("other", "one", 100, world.lease)
    require(other.checkpoint, b"", "the checkpoint of another group")


@obligation()
async def a_claim_is_lost_when_its_time_is_over(world: World) -> None:
    """A consumer that died must not keep its partition; one that was only slow must hear that it lost it, and what it
    commits then must not undo what the next one did."""
    stream = world.engine.stream("clicks")
    claims = {claim.partition: claim for claim in await stream.claim("group", "one", 100, world.lease)}
    for claim in claims.values():
        require(await claim.commit(b"first"), True, "committed in time")
    await world.pass_time(world.lease / 2)
    require(await claims[0].extend(world.lease), True, "extended in time")
    await world.pass_time(world.lease / 2)
    again = {claim.partition: claim for claim in await stream.claim("group", "two", 100, world.lease)}
    require(sorted(again), list(range(1, stream.partitions)), "partitions that were not extended")
    require(await claims[0].commit(b"kept"), True, "committed by who extended")
    if stream.partitions > 1:
        require(await again[1].commit(b"second"), True, "committed by the next holder")
        require(await claims[1].commit(b"late"), False, "committed too late")
        require(await claims[1].extend(world.lease), False, "extended too late")
        await claims[1].release()
        require(list(await stream.claim("group", "one", 100, world.lease)), [], "partitions after a late release")
        await again[1].release()
        (third,) = await stream.claim("group", "one", 100, world.lease)
        require(third.checkpoint, b"second", "the checkpoint after a late commit")


@obligation("virtual time")
async def a_clock_that_is_set_ends_no_claim_and_makes_none_longer(world: World) -> None:
    """As with leases: two that read one partition break its order."""
    stream = world.engine.stream("clicks")
    (claim, *_) = await stream.claim("group", "one", 100, world.lease)
    await stream.join("group", "one", world.lease)
    for seconds in (7200.0, -14_400.0):
        world.set_clock(seconds)
        require(list(await stream.claim("group", "two", 100, world.lease)), [], f"claimed after {seconds:.0f} s")
        require(await claim.commit(b"checkpoint"), True, "committed after that")
    await world.pass_time(world.lease)
    require(await stream.join("group", "two", world.lease), 1, "consumers, when the first is gone")
    require(len(await stream.claim("group", "two", 100, world.lease)), stream.partitions, "claimed when it is over")


@obligation()
async def a_claim_that_is_over_is_nobodys(world: World) -> None:
    """Whether another holds it already or not: who came too late must hear so."""
    stream = world.engine.stream("clicks")
    (claim, *_) = await stream.claim("group", "one", 100, world.lease)
    await world.pass_time(world.lease)
    require(await claim.extend(world.lease), False, "extended too late")
    require(await claim.commit(b"late"), False, "committed too late")
    again = {claim.partition: claim for claim in await stream.claim("group", "one", 100, world.lease)}
    require(len(again), stream.partitions, "partitions that can be claimed again")
    require(again[claim.partition].checkpoint, b"", "the checkpoint")


@obligation()
async def a_released_claim_is_nobodys(world: World) -> None:
    """Its checkpoint stays as it was, and a second release does nothing to the next holder."""
    stream = world.engine.stream("clicks")
    (claim, *_) = await stream.claim("group", "one", 100, world.lease)
    await claim.release()
    require(await claim.commit(b"late"), False, "committed after the release")
    (again,) = await stream.claim("group", "two", 100, world.lease)
    await claim.release()
    require(await again.commit(b""), True, "committed by the next holder")


@obligation()
async def consumers_know_how_many_they_are(world: World) -> None:
    """Each takes its share of the partitions; one that left or died is not counted."""
    stream = world.engine.stream("clicks")
    require(await stream.join("group", "one", world.lease), 1, "with one")
    require(await stream.join("group", "two", world.lease), 2, "with two")
    require(await stream.join("group", "one", 2 * world.lease), 2, "with one of them told twice")
    require(await stream.join("other", "one", world.lease), 1, "in another group")
    await world.pass_time(world.lease)
    require(await stream.join("group", "three", world.lease), 2, "when two is gone")
    await stream.leave("group", "three")
    await stream.leave("group", "nobody")
    require(await stream.join("group", "one", world.lease), 1, "when three left")


@obligation()
async def groups_read_at_their_own_pace(world: World) -> None:
    """Reading takes nothing away, and one group's checkpoint is nothing to another."""
    stream = world.engine.stream("clicks")
    await stream.publish([Record(str(number), b"") for number in range(20)])
    for group in ("one", "two"):
        read = 0
        for claim in await stream.claim(group, "consumer", 100, world.lease):
            records = await stream.read(claim.partition, int(claim.checkpoint or b"0"), 100)
            read += len(records)
            if records:
                await claim.commit(str(records[-1].position).encode())
        require(read, 20, f"records that the group {group} read")
