"""Obligations of queues: what is accepted is lent to one at a time until it is settled."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel

from ...engine.protocol import DUPLICATE_WINDOW, Lease, Message, Queue
from ...errors import QueueFull
from .obligation import ObligationBroken, World, ids, obligation, put, require, until


@obligation()
async def messages_come_as_they_were_sent_in_the_order_of_acceptance(world: World) -> None:
    """A message comes with its id, its body and when it was accepted, as its first attempt, in the order of acceptance:
    a function works on old things before new ones, and knows how long they waited."""
    queue = world.engine.queue("orders")
    body = bytes(range(256)) * 8
    await queue.send([Message("a", body), Message("b", b"")])
    await queue.send([Message("c", b"c")])
    first = await queue.receive(2, world.lease)
    require([(lease.message.id, lease.message.body) for lease in first], [("a", body), ("b", b"")], "the first two")
    require(ids(await world.received(queue)), ["c"], "what is behind them")
    message = first[0].message
    require((message.attempt, message.lost, message.group), (1, 0, None), "attempt, lost and group of a new message")
    if abs(message.accepted - world.clock.time()) > world.lease:
        raise ObligationBroken(f"`accepted` must be the time of acceptance, found {message.accepted!r}")


@obligation()
async def large_bodies_come_whole(world: World) -> None:
    """A body of a megabyte is a body: limits are fnframe's, not the engine's."""
    queue = world.engine.queue("large")
    bodies = [bytes([number]) * size for number, size in enumerate((65_535, 65_536, 65_537, 1_100_000, 7_000_000))]
    await queue.send([Message(str(number), body) for number, body in enumerate(bodies)])
    leases = await world.received(queue)
    require(
        [lease.message.body == body for lease, body in zip(leases, bodies, strict=True)], [True] * 5, "equal bodies"
    )
    await queue.ack(leases)


@obligation()
async def receive_lends_no_more_than_is_asked_for(world: World) -> None:
    """What a poller has no room for must stay for the others."""
    queue = world.engine.queue("orders")
    await put(queue, *"abcde")
    require(ids(await queue.receive(3, world.lease)), ["a", "b", "c"], "of five messages, three asked for")
    require(ids(await queue.receive(3, world.lease)), ["d", "e"], "the rest")


@obligation()
async def a_queue_tells_whether_it_holds_a_message(world: World) -> None:
    """Until it is settled, whatever happens to it: a schedule must know whether what it fired before still runs."""
    queue = world.engine.queue("orders")
    await put(queue, "a", "b")
    await put(queue, "delayed", delay=world.delay)
    lease, other = await queue.receive(2, world.lease)
    require(
        [await queue.holds(name) for name in ("a", "delayed", "never")], [True, True, False], "lent, delayed, never"
    )
    await lease.release(world.delay, counted=True)
    require(await queue.holds("a"), True, "one that was given back")
    await other.bury("dead")
    require(await queue.holds("b"), False, "one that died")
    await world.pass_time(world.delay)
    await queue.ack(await world.received(queue))
    require(await queue.holds("a"), False, "one that is done")


@obligation()
async def receive_with_a_wait_of_zero_returns_at_once(world: World) -> None:
    """Who looks whether something is there does not want to wait."""
    queue = world.engine.queue("orders")
    require(list(await queue.receive(1, world.lease, wait=0.0)), [], "from an empty queue")


@obligation()
async def receive_waits_until_something_is_sent(world: World) -> None:
    """A poller waits in `receive`: it must come back when there is something, however long that takes."""
    queue = world.engine.queue("orders")
    got: list[Lease] = []

    async def receive() -> None:
        got.extend(await queue.receive(1, world.lease))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.sleep(0.01)
        await put(queue, "a")
    require(ids(got), ["a"], "what the one who waited got")


@obligation()
async def receive_waits_until_a_delay_or_a_lease_is_over(world: World) -> None:
    """Nobody else calls when a delay ends or a holder dies: the engine must wake the one who waits."""
    queue = world.engine.queue("orders")
    await put(queue, "delayed", delay=world.delay)
    for end in ("delay", "lease"):
        got: list[Lease] = []

        async def receive(got: list[Lease] = got) -> None:
            got.extend(await queue.receive(1, world.lease))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.sleep(0.01)
            require(ids(got), [], f"before the {end} is over")
            await world.pass_time(world.delay if end == "delay" else world.lease)
        require(ids(got), ["delayed"], f"when the {end} is over")


@obligation()
async def receive_gives_up_after_its_wait(world: World) -> None:
    """A batch window ends also where nothing comes."""
    queue = world.engine.queue("orders")
    async with anyio.create_task_group() as tasks:

        async def receive() -> None:
            require(list(await queue.receive(1, world.lease, wait=world.delay)), [], "from an empty queue")

        tasks.start_soon(receive)
        await anyio.sleep(0.01)
        await world.pass_time(world.delay)


@obligation()
async def an_id_is_accepted_once(world: World) -> None:
    """Cron on several nodes, a file that is seen twice and a retried handler all send the same id again: it must come
    once, whether the first is waiting, lent or done; and `send` must say which are new."""
    queue = world.engine.queue("orders")
    require(await put(queue, "a", "b", "a"), [True, True, False], "new in one call")
    require(await put(queue, "c", "a"), [True, False], "new in another call")
    leases = await world.received(queue)
    require(ids(leases), ["a", "b", "c"], "what came")
    require(await put(queue, "a"), [False], "new while it is lent")
    await queue.ack(leases)
    require(await put(queue, "a"), [False], "new when it is done")
    require(ids(await world.received(queue)), [], "what came again")


@obligation("virtual time")
async def an_id_is_remembered_for_the_window(world: World) -> None:
    """An hour is what producers may count on; what a queue still holds is no new message even then."""
    queue = world.engine.queue("orders")
    await put(queue, "done")
    await put(queue, "held", delay=3 * DUPLICATE_WINDOW)
    await (await world.one(queue)).ack()
    await world.pass_time(DUPLICATE_WINDOW - 1)
    require(await put(queue, "done", "held"), [False, False], "new within the window")
    await world.pass_time(2 * DUPLICATE_WINDOW)
    require(await put(queue, "held"), [False], "new after the window, but still held")


@obligation()
async def a_fresh_message_is_a_message_like_others(world: World) -> None:
    """`fresh` saves the memory of an id, and nothing else."""
    queue = world.engine.queue("orders")
    require(await queue.send([Message("a", b"1", fresh=True), Message("b", b"2", "g", fresh=True)]), [True] * 2, "new")
    leases = await world.received(queue)
    require(sorted(ids(leases)), ["a", "b"], "what came")
    await leases[0].release(0.0, counted=True)
    again = await world.one(queue)
    require((again.message.id, again.message.attempt), (leases[0].message.id, 2), "what was released")
    await queue.ack([again, leases[1]])
    require((await queue.statistics()).total, 0, "what is left")


@obligation(queue_bound=3)
async def a_full_queue_accepts_all_of_a_call_or_nothing(world: World) -> None:
    """Back-pressure: a producer must hear that nothing was accepted. All that is not settled counts, delayed and lent
    ones too; a duplicate is no new message; what is done makes room."""
    queue = world.engine.queue("orders")
    await put(queue, "a")
    lease = await world.one(queue)
    await put(queue, "b", delay=world.lease)
    for names in (["c", "d"], ["c", "d", "e", "f"]):
        try:
            await put(queue, *names)
        except QueueFull as error:
            require((error.queue, error.bound), ("orders", 3), "what the error names")
        else:
            raise ObligationBroken("a queue with a bound of 3 that holds 2 accepted more than one")
    require((await queue.statistics()).total, 2, "messages after a refusal")
    require(await put(queue, "c", "a"), [True, False], "new, with one place left")
    require(await put(queue, "b"), [False], "a duplicate, with no place left")
    await lease.ack()
    require(await put(queue, "d"), [True], "new, after one was done")


@obligation()
async def what_is_lent_comes_to_nobody_else_until_its_lease_is_over(world: World) -> None:
    """Two that work on one message would do it twice. When the holder died the message comes back, and counts that."""
    queue = world.engine.queue("orders")
    await put(queue, "a")
    lease = await world.one(queue)
    await put(queue, "b")
    require(ids(await world.received(queue)), ["b"], "what can be had while a is lent")
    await world.pass_time(world.lease * 0.8)
    require(ids(await world.received(queue)), [], "what can be had before the lease is over")
    await world.pass_time(world.lease * 0.25)
    again = await world.received(queue)
    require(sorted(ids(again)), ["a", "b"], "what can be had when the leases are over")
    found = {(lease.message.id, lease.message.attempt, lease.message.lost) for lease in again}
    require(found, {("a", 1, 1), ("b", 1, 1)}, "id, attempt and lost")
    require(lease.message.lost, 0, "lost, as the first holder saw it")


@obligation()
async def a_lease_is_extended_as_long_as_it_is_held(world: World) -> None:
    """The heartbeat of a function that runs long; `extend` must say when it came too late."""
    queue = world.engine.queue("orders")
    await put(queue, *"ab")
    leases = await queue.receive(2, world.lease)
    for _ in range(3):
        await world.pass_time(world.lease * 0.6)
        require(await queue.extend(leases, world.lease), [True, True], "extended in time")
        require(ids(await world.received(queue)), [], "what can be had meanwhile")
    await leases[1].ack()
    require(await queue.extend(leases, world.lease), [True, False], "extended, one being done")
    require(await leases[0].extend(world.delay), True, "made shorter")
    await world.pass_time(world.delay)
    require(await leases[0].extend(world.lease), False, "extended too late")
    require(ids(await world.received(queue)), ["a"], "what can be had then")
    require(await leases[0].extend(world.lease), False, "extended when another holds it")


@obligation("virtual time")
async def a_clock_that_is_set_ends_no_lease_and_makes_none_longer(world: World) -> None:
    """Somebody corrects the clock, a machine wakes up: what runs must not be run once more beside it, and what a dead
    holder had must not wait for hours."""
    queue = world.engine.queue("orders")
    await put(queue, "a")
    lease = await world.one(queue)
    for seconds in (7200.0, -14_400.0):
        world.set_clock(seconds)
        require(ids(await world.received(queue)), [], f"what can be had when the clock was set by {seconds:.0f} s")
        require(await lease.extend(world.lease), True, "extended after that")
    got: list[Lease] = []

    async def receive() -> None:
        got.extend(await queue.receive(1, world.lease))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.sleep(0.01)
            await world.pass_time(world.lease)
    require(ids(got), ["a"], "what one who waits gets when the lease is over")


@obligation("virtual time")
async def a_clock_that_is_set_back_makes_no_delay_longer(world: World) -> None:
    """What is to be tried again in a second must not wait for hours, also where somebody waits for it already."""
    queue = world.engine.queue("orders")
    got: list[Lease] = []
    await put(queue, "a", delay=world.delay)

    async def receive() -> None:
        got.extend(await queue.receive(1, world.lease))

    for name in ("a", "b"):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(receive)
                await anyio.sleep(0.01)
                world.set_clock(-3600.0)
                await anyio.sleep(0.01)
                require(ids(got), ["a"] if name == "b" else [], "what was had before the delay is over")
                await world.pass_time(world.delay)
        world.set_clock(7200.0)
        await put(queue, "b", delay=world.delay)
    require(ids(got), ["a", "b"], "what one who waits gets when the delay is over")


@obligation()
async def who_comes_late_takes_nothing_from_the_holder_of_now(world: World) -> None:
    """A holder whose lease ran out may still be alive, and settle: that must do nothing to the one who has it now, and
    nothing to what was settled since."""
    queue = world.engine.queue("orders")
    for way in ("ack", "release", "bury", "leave", "ack of several"):
        await put(queue, way)
        late = await world.one(queue)
        await world.pass_time(world.lease)
        current = await world.one(queue)
        await _settle(late, way)
        require(ids(await world.received(queue)), [], f"what can be had after a late {way}")
        require(await current.extend(world.lease), True, f"whether it is still the holder's after a late {way}")
        await current.ack()
        await _settle(late, way)
        require((await queue.statistics())[:4], (0, 0, 0, 0), f"what the queue holds after a late {way}")


async def _settle(lease: Lease, way: str) -> None:
    async with lease:
        if way == "ack":
            await lease.ack()
        elif way == "release":
            await lease.release(0.0, counted=True)
        elif way == "bury":
            await lease.bury("late")


@obligation()
async def a_released_message_comes_back_after_its_delay(world: World) -> None:
    """Retries wait. What counts as an attempt, and what as lost, is the caller's to say; the age stays."""
    queue = world.engine.queue("orders")
    await put(queue, "a")
    lease = await world.one(queue)
    accepted = lease.message.accepted
    expected = (1, 0)
    for counted, lost in ((True, False), (False, False), (False, True), (True, True)):
        await lease.release(world.delay, counted=counted, lost=lost)
        require(ids(await world.received(queue)), [], "what can be had before the delay is over")
        await world.pass_time(world.delay)
        lease = await world.one(queue)
        expected = (expected[0] + counted, expected[1] + lost)
        found = (lease.message.attempt, lease.message.lost)
        require(found, expected, f"attempt and lost after release(counted={counted}, lost={lost})")
        require((lease.message.accepted, lease.message.body), (accepted, b"a"), "when it was accepted, and its body")
    await put(queue, "b")
    await lease.release(0.0, counted=True)
    require(sorted(ids(await world.received(queue))), ["a", "b"], "what can be had after a release without a delay")


@obligation()
async def a_lease_that_is_left_gives_the_message_back_as_it_was(world: World) -> None:
    """A poller that ends, is cancelled or fails has not tried: no attempt and no loss is counted."""
    queue = world.engine.queue("orders")
    await put(queue, "a")
    for end in ("left", "failed", "cancelled"):
        lease = await world.one(queue)
        try:
            with anyio.CancelScope() as scope:
                async with lease:
                    if end == "failed":
                        raise ValueError("handler")
                    if end == "cancelled":
                        scope.cancel()
                        await anyio.lowlevel.checkpoint()
        except ValueError:
            pass
        with anyio.fail_after(10):
            (again,) = await queue.receive(1, world.lease)
        require(again.message, lease.message, f"the message after its lease was {end}")
        await again.release(0.0, counted=False)


@obligation()
async def a_message_may_be_sent_to_come_later(world: World) -> None:
    """A delay holds from the moment of sending, and delays nobody else."""
    queue = world.engine.queue("orders")
    await put(queue, "later", delay=2 * world.delay)
    await put(queue, "late", delay=world.delay)
    await put(queue, "now")
    require(ids(await world.received(queue)), ["now"], "what can be had at once")
    await world.pass_time(world.delay)
    require(ids(await world.received(queue)), ["late"], "what can be had after the shorter delay")
    await world.pass_time(world.delay)
    require(ids(await world.received(queue)), ["later"], "what can be had after the longer one")


@obligation()
async def several_are_settled_in_one_step(world: World) -> None:
    """A batch ends as one; those of it that are not the holder's any more are left alone."""
    queue = world.engine.queue("orders")
    await put(queue, *"abcde")
    leases = await queue.receive(5, world.lease)
    await leases[4].release(0.0, counted=True)
    await queue.ack(leases)
    require(ids(await world.received(queue)), ["e"], "what can be had after one was released and all acknowledged")
    require((await queue.statistics()).total, 1, "what is not settled")


@obligation()
async def statistics_count_what_is_not_settled(world: World) -> None:
    """Scaling, drains and people read them; `oldest` says how far a queue is behind."""
    queue = world.engine.queue("orders")
    require(tuple(await queue.statistics()), (0, 0, 0, 0, None), "of an empty queue")
    await put(queue, *"abc")
    accepted = (await world.one(queue)).message.accepted
    await world.pass_time(world.delay / 2)
    await put(queue, "d", delay=world.delay)
    require(tuple(await queue.statistics()), (2, 1, 1, 0, accepted), "with one lent and one delayed")
    await world.pass_time(world.delay)
    require(tuple(await queue.statistics()), (3, 0, 1, 0, accepted), "when the delay is over")
    leases = await world.received(queue)
    await leases[0].bury("dead")
    require(tuple(await queue.statistics()), (0, 0, 3, 1, accepted), "with one dead")
    await world.pass_time(world.lease)
    require((await queue.statistics())[:4], (3, 0, 0, 1), "when all leases are over")


@obligation()
async def queues_are_known_by_their_names_and_share_nothing(world: World) -> None:
    """An id is one queue's. Names are any text: functions and users choose them."""
    names = ["orders", "Orders", "", "a/b", "../x", "ä ö", "'; DROP TABLE x; --", "n" * 300, "fnframe:x", "100%_", "\n"]
    for name in names:
        require(await put(world.engine.queue(name), "a"), [True], f"new in the queue {name!r}")
        world.engine.queue(f"empty {name}")
    require(sorted(await world.engine.queues()), sorted(names), "the queues that hold something")
    for name in names:
        lease = await world.one(world.engine.queue(name))
        require(await put(world.engine.queue(name), "a"), [False], "new in another object for the same queue")
        await lease.ack()
    require(await world.engine.queues(), [], "the queues that hold something, when all is done")
    await put(world.engine.queue("dead"), "a")
    await (await world.one(world.engine.queue("dead"))).bury("dead")
    require(await world.engine.queues(), ["dead"], "the queues that hold something, with one dead letter")


@obligation()
async def who_waits_longest_is_served_first(world: World) -> None:
    """With several pollers on one queue, none may starve; and one who stops waiting does not take his turn with him."""
    queue = world.engine.queue("orders")
    served: list[int] = []
    scopes = [anyio.CancelScope() for _ in range(5)]

    async def receive(number: int) -> None:
        with scopes[number]:
            await queue.receive(1, world.lease)
            served.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(receive, number)
            await anyio.sleep(0.005)
        scopes[0].cancel()
        scopes[2].cancel()
        for name in "abc":
            before = len(served)
            await put(queue, name)
            await until(lambda: len(served) > before, f"somebody who is served with {name}")  # noqa: B023
    require(served, [1, 3, 4], "who was served, in this order")


@obligation()
async def a_cancelled_receive_takes_nothing(world: World) -> None:
    """A poller is cancelled at any moment: what was about to be lent to it must be had by the others, as it was, and
    nobody may have to wait for the end of a lease that no one holds."""
    queue = world.engine.queue("orders")
    seen: set[str] = set()

    async def receive(scope: anyio.CancelScope) -> None:
        with scope:
            leases = await queue.receive(2, world.lease)
            seen.update(ids(leases))
            async with AsyncExitStack() as held:
                for lease in leases:
                    await held.enter_async_context(lease)
                await queue.ack(leases)

    for number in range(30):
        scopes = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            for scope in scopes:
                tasks.start_soon(receive, scope)
            for _ in range(number % 4):
                await anyio.lowlevel.checkpoint()
            await put(queue, f"{number} a", f"{number} b", f"{number} c")
            for _ in range(number % 7):
                await anyio.lowlevel.checkpoint()
            for scope in scopes:
                scope.cancel()
        await no_lease_is_left(queue)
        leases = await world.received(queue)
        found = {(lease.message.attempt, lease.message.lost) for lease in leases}
        require(found <= {(1, 0)}, True, f"whether (1, 0) is attempt and lost of what was not had, in {found}")
        seen.update(ids(leases))
        await queue.ack(leases)
    require(len(seen), 90, "messages that came to anybody, of 90")


async def no_lease_is_left(queue: Queue) -> None:
    """Wait, a moment at the most, until nothing is lent."""
    with anyio.move_on_after(5):
        while (await queue.statistics()).leased:  # noqa: ASYNC110  what is waited for is the engine's doing
            await anyio.sleep(0.001)
        return
    raise ObligationBroken(
        "a lease is left that nobody holds: what was taken for a cancelled receive waits for its end"
    )


@obligation()
async def a_cancelled_send_has_happened_whole_or_not_at_all(world: World) -> None:
    """Who was cancelled sends again: then each id must be there once, and a call of several is never there in part."""
    queue = world.engine.queue("orders")
    for number in range(30):
        names = [f"{number} {part}" for part in range(3)]

        async def send(scope: anyio.CancelScope, names: list[str] = names) -> None:
            with scope:
                await put(queue, *names)

        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(send, scope)
            for _ in range(number % 6):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
        again = await put(queue, *names)
        require(len(set(again)), 1, f"whether all of the messages of a cancelled send are new, or none: {again}; kinds")
    leases = await world.received(queue, 200)
    require(len(leases), len(set(ids(leases))), "ids that came")
    require(len(leases), 90, "messages that came")


@obligation()
async def many_at_once_lose_nothing_and_share_nothing(world: World) -> None:
    """Several producers and several pollers, of which some give back what they have: each message is done once, and
    never with two at a time."""
    queue = world.engine.queue("orders")
    producers, each = 5, 40
    held: set[str] = set()
    done: Counter[str] = Counter()
    begun: Counter[str] = Counter()

    async def produce(producer: int) -> None:
        for number in range(each):
            await put(queue, f"{producer} {number}")

    async def consume(scope: anyio.CancelScope) -> None:
        while True:
            for lease in await queue.receive(3, world.lease):
                name = lease.message.id
                begun[name] += 1
                require(name in held, False, f"whether {name} is lent to another")
                held.add(name)
                await anyio.lowlevel.checkpoint()
                held.discard(name)
                if begun[name] == 1 and name.endswith("3"):
                    await lease.release(0.0, counted=True)
                else:
                    await lease.ack()
                    done[name] += 1
            if len(done) == producers * each:
                scope.cancel()

    async with anyio.create_task_group() as tasks:
        for producer in range(producers):
            tasks.start_soon(produce, producer)
        for _ in range(4):
            tasks.start_soon(consume, tasks.cancel_scope)
    require(set(done.values()), {1}, "how often each message was done")
    require(max(begun.values()), 2, "how often a message was begun at the most, some being released once")
