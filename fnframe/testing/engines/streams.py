"""Obligations of streams: an ordered log that any number of groups read."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from ...engine.protocol import DUPLICATE_WINDOW, Bounds, Record, Stream
from .obligation import ObligationBroken, World, obligation, require


async def everything(stream: Stream) -> dict[int, list[Record]]:
    """All records that the stream holds, by partition."""
    return {partition: list(await stream.read(partition, 0, 10_000)) for partition in range(stream.partitions)}


async def home(stream: Stream, key: str) -> int:
    """The partition of a key, which holds a record of it."""
    found = [number for number, records in (await everything(stream)).items() if key in {r.key for r in records}]
    require(len(found), 1, f"partitions that hold records of the key {key!r}")
    return found[0]


@obligation()
async def records_of_a_key_are_read_in_the_order_of_acceptance(world: World) -> None:
    """What happened to one thing must be seen in the order in which it happened: one key, one partition."""
    stream = world.engine.stream("clicks")
    for number in range(10):
        records = [Record(f"key {key}", f"{key} {number}".encode()) for key in range(19)]
        require(await stream.publish(records), [True] * 19, "new")
    read = await everything(stream)
    require(sorted(read), list(range(stream.partitions)), "the partitions")
    homes: dict[str, int] = {}
    for partition, records in read.items():
        for record in records:
            require(homes.setdefault(record.key, partition), partition, f"the partition of {record.key!r}")
    for key in range(19):
        bodies = [record.body for record in read[homes[f"key {key}"]] if record.key == f"key {key}"]
        require(bodies, [f"{key} {number}".encode() for number in range(10)], f"the order of {key}")
    if stream.partitions > 1 and len(set(homes.values())) == 1:
        raise ObligationBroken("nineteen keys lie in one of several partitions: consumers cannot share the work")


@obligation()
async def positions_ascend_from_one_and_a_read_begins_behind_its(world: World) -> None:
    """A checkpoint is a position: reading on behind it must give each record once."""
    stream = world.engine.stream("clicks")
    await stream.publish([Record("key", str(number).encode(), f"id {number}") for number in range(10)])
    partition = await home(stream, "key")
    records = await stream.read(partition, 0, 100)
    require([record.position for record in records], list(range(1, 11)), "positions")
    found = [(record.key, record.body, record.id) for record in records[:2]]
    require(found, [("key", b"0", "id 0"), ("key", b"1", "id 1")], "key, body and id")
    if abs(records[0].accepted - world.clock.time()) > world.lease:
        raise ObligationBroken(f"`accepted` must be the time of acceptance, found {records[0].accepted!r}")
    require([record.position for record in await stream.read(partition, 3, 4)], [4, 5, 6, 7], "positions behind 3")
    require([record.position for record in await stream.read(partition, 8, 4)], [9, 10], "positions behind 8")
    require(list(await stream.read(partition, 10, 4)), [], "records behind the last")


@obligation()
async def read_waits_for_records_as_long_as_it_is_told(world: World) -> None:
    """A poller that sleeps between two looks is late, and one that does not sleep is busy."""
    stream = world.engine.stream("clicks")
    await stream.publish([Record("key", b"1")])
    partition = await home(stream, "key")
    require(list(await stream.read(partition, 1, 5)), [], "without a wait")
    got: list[Record] = []

    async def read(wait: float) -> None:
        got.extend(await stream.read(partition, 1, 5, wait=wait))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, world.delay)
        await anyio.sleep(0.01)
        await world.pass_time(world.delay)
    require(got, [], "when the wait is over")
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(read, 1e9)
        await anyio.sleep(0.01)
        await stream.publish([Record("key", b"2")])
    require([record.body for record in got], [b"2", b"2"], "what two who waited got")


@obligation()
async def a_record_id_is_accepted_once(world: World) -> None:
    """As in queues; records without an id are all new."""
    stream = world.engine.stream("clicks")
    require(await stream.publish([Record("a", b"", "1"), Record("b", b"", "1")]), [True, False], "new in one call")
    require(await stream.publish([Record("c", b"", "1"), Record("c", b"", "2")]), [False, True], "new in another")
    require(await stream.publish([Record("c", b""), Record("c", b"")]), [True, True], "new without an id")
    require(sum(map(len, (await everything(stream)).values())), 4, "records")
    require(await world.engine.stream("other").publish([Record("a", b"", "1")]), [True], "new in another stream")


@obligation("virtual time")
async def a_record_id_is_remembered_for_the_window(world: World) -> None:
    """An hour is what producers may count on, of streams as of queues."""
    stream = world.engine.stream("clicks")
    await stream.publish([Record("a", b"", "1")])
    await world.pass_time(DUPLICATE_WINDOW - 1)
    require(await stream.publish([Record("a", b"", "1")]), [False], "new within the window")


@obligation()
async def bounds_say_what_a_partition_holds(world: World) -> None:
    """Where a reader may begin, and how far it is behind."""
    stream = world.engine.stream("clicks")
    for partition in range(stream.partitions):
        require(await stream.bounds(partition), Bounds(1, 0), "of an empty partition")
    await stream.publish([Record("key", b"")] * 3)
    partition = await home(stream, "key")
    require(await stream.bounds(partition), Bounds(1, 3), "with three records")


@obligation(stream_records=5)
async def the_oldest_go_when_a_partition_holds_too_many(world: World) -> None:
    """A stream that nobody reads must not fill the disk. Positions stay what they were, and a reader that is behind
    goes on with the first that is kept."""
    stream = world.engine.stream("clicks")
    for number in range(12):
        await stream.publish([Record("key", str(number).encode())])
    partition = await home(stream, "key")
    first, last = await stream.bounds(partition)
    require(last, 12, "the last position")
    require(first <= 8, True, f"whether five at least are kept: the first is {first}")
    require(len(await stream.read(partition, 0, 100)), last - first + 1, "records that can be read")
    require((await stream.read(partition, 2, 1))[0].position, first, "the position of the first behind 2")


@obligation("virtual time", stream_retention=100.0)
async def the_oldest_go_when_they_are_too_old(world: World) -> None:
    """Retention is a promise in both directions: kept so long, and gone then."""
    stream = world.engine.stream("clicks")
    await stream.publish([Record("key", b"old")])
    partition = await home(stream, "key")
    await world.pass_time(60)
    await stream.publish([Record("key", b"new")])
    require(await stream.bounds(partition), Bounds(1, 2), "before the retention is over")
    await world.pass_time(60)
    require([record.body for record in await stream.read(partition, 0, 10)], [b"new"], "what can be read after it")
    require(await stream.bounds(partition), Bounds(2, 2), "what is held after it")
    await world.pass_time(60)
    require(await stream.bounds(partition), Bounds(3, 2), "what is held when all are too old")
    require(await world.engine.streams(), [], "streams that hold records")
    await stream.publish([Record("key", b"next")])
    require(await stream.bounds(partition), Bounds(3, 3), "what is held when another came")


@obligation()
async def a_position_is_found_by_its_time(world: World) -> None:
    """A consumer may begin at a moment: everything that was accepted then or later lies behind the position."""
    stream = world.engine.stream("clicks")
    moments = []
    for number in range(4):
        moments.append(world.clock.time())
        await stream.publish([Record("key", str(number).encode())] * 2)
        await world.pass_time(world.delay)
    partition = await home(stream, "key")
    for number, moment in enumerate(moments):
        require(await stream.position_at(partition, moment), 2 * number, f"the position at the {number}. moment")
    require(await stream.position_at(partition, 0.0), 0, "the position at the beginning of time")
    require(await stream.position_at(partition, world.clock.time() + 1e6), 8, "the position at a moment to come")


@obligation()
async def streams_are_known_by_their_names(world: World) -> None:
    """As queues are; a queue and a stream of one name are two."""
    await world.engine.queue("clicks").statistics()
    for name in ("clicks", "other", "ä/b '%_"):
        await world.engine.stream(name).publish([Record("key", name.encode())])
    require(sorted(await world.engine.streams()), sorted(["clicks", "other", "ä/b '%_"]), "streams that hold records")
    require(await world.engine.queues(), [], "queues that hold messages")
    stream = world.engine.stream("other")
    require([r.body for records in (await everything(stream)).values() for r in records], [b"other"], "its records")


@obligation()
async def a_cancelled_publish_has_happened_whole_or_not_at_all(world: World) -> None:
    """Who was cancelled publishes again: then each record must be there once."""
    stream = world.engine.stream("clicks")
    for number in range(30):
        records = [Record(f"{part}", b"", f"{number} {part}") for part in range(3)]

        async def publish(scope: anyio.CancelScope, records: list[Record] = records) -> None:
            with scope:
                await stream.publish(records)

        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(publish, scope)
            for _ in range(number % 6):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
        again = await stream.publish(records)
        require(len(set(again)), 1, f"whether all records of a cancelled call are new, or none: {again}; kinds")
    require(sum(map(len, (await everything(stream)).values())), 90, "records")


@obligation()
async def many_publish_at_once(world: World) -> None:
    """Each producer's records of a key stay in its order, and no position is given twice."""
    stream = world.engine.stream("clicks")

    async def publish(producer: int) -> None:
        for number in range(30):
            await stream.publish([Record("key", f"{producer} {number:02}".encode())])

    async with anyio.create_task_group() as tasks:
        for producer in range(5):
            tasks.start_soon(publish, producer)
    records = await stream.read(await home(stream, "key"), 0, 1000)
    require([record.position for record in records], list(range(1, 151)), "positions")
    for producer in range(5):
        mine = [record.body for record in records if record.body.startswith(f"{producer} ".encode())]
        require(mine, sorted(mine), f"the order of producer {producer}")
