"""Obligations of queues: what is given up on is kept, with the reason, until somebody decides."""

from __future__ import annotations

from ...engine.protocol import Message
from ...errors import QueueFull
from .obligation import ObligationBroken, World, ids, obligation, put, require


@obligation()
async def a_dead_letter_tells_when_and_why(world: World) -> None:
    """Who looks at it months later wants to know what the message was, what happened, and how often it was tried."""
    queue = world.engine.queue("orders")
    await queue.send([Message("a", b"\x00body", "g")])
    lease = await world.one(queue)
    accepted = lease.message.accepted
    await lease.release(0.0, counted=True, lost=True)
    await world.pass_time(world.delay)
    lease = await world.one(queue)
    async with lease:
        await lease.bury("the reason", b'{"errorType": "E"}')
    require(ids(await world.received(queue)), [], "what can be had")
    (letter,) = await queue.dead_letters()
    message = letter.message
    require((message.id, message.body, message.group, message.accepted), ("a", b"\x00body", "g", accepted), "message")
    require((message.attempt, message.lost), (2, 1), "attempt and lost")
    require((letter.reason, letter.error), ("the reason", b'{"errorType": "E"}'), "reason and error")
    if not accepted < letter.died <= world.clock.time():
        raise ObligationBroken(f"`died` must be when it was buried, found {letter.died!r}")


@obligation()
async def dead_letters_are_listed_the_oldest_first_page_by_page(world: World) -> None:
    """A list of a hundred thousand must not be read at once."""
    queue = world.engine.queue("orders")
    await _die(world, *"edcba")
    require([letter.message.id for letter in await queue.dead_letters()], [*"edcba"], "all of them")
    require([letter.message.id for letter in await queue.dead_letters(2)], [*"ed"], "the first page")
    require([letter.message.id for letter in await queue.dead_letters(2, after="d")], [*"cb"], "the second page")
    require([letter.message.id for letter in await queue.dead_letters(2, after="b")], ["a"], "the third page")
    require(list(await queue.dead_letters(2, after="a")), [], "behind the last")


@obligation()
async def a_dead_letter_that_is_driven_again_begins_anew(world: World) -> None:
    """Somebody mended what was wrong: the message gets all of its attempts and its whole age again, behind what waits;
    those that are not named stay."""
    queue = world.engine.queue("orders")
    await _die(world, *"abc")
    await put(queue, "x")
    await world.pass_time(world.delay)
    before = world.clock.time()
    require(await queue.redrive(["b", "nobody", "a", "b"]), 2, "how many there were")
    leases = await world.received(queue)
    require(ids(leases), ["x", "b", "a"], "what can be had")
    for lease in leases[1:]:
        message = lease.message
        require((message.body, message.attempt, message.lost), (message.id.encode(), 1, 0), "body, attempt and lost")
        require(message.accepted >= before, True, "whether it was accepted anew")
    require([letter.message.id for letter in await queue.dead_letters()], ["c"], "the dead letters that stay")
    require(await put(queue, "a"), [False], "whether one that was driven again is new")


@obligation(queue_bound=2)
async def dead_letters_are_driven_again_all_or_none(world: World) -> None:
    """They count against the bound like new messages; where they do not fit, none may get lost on the way."""
    queue = world.engine.queue("orders")
    await _die(world, *"abc")
    require((await queue.statistics())[:4], (0, 0, 0, 3), "what the queue holds: dead letters do not count")
    await put(queue, "x")
    try:
        await queue.redrive(["a", "b"])
    except QueueFull as error:
        require((error.queue, error.bound), ("orders", 2), "what the error names")
    else:
        raise ObligationBroken("two dead letters went into a queue with one place left")
    require((await queue.statistics())[:4], (1, 0, 0, 3), "what the queue holds after that")
    require(await queue.redrive(["b"]), 1, "one of them")
    require((await queue.statistics())[:4], (2, 0, 0, 2), "what the queue holds then")


@obligation()
async def dead_letters_are_forgotten_when_they_are_purged(world: World) -> None:
    """Only those that are named: this is the one way in which something gets lost, and it is asked for."""
    queue = world.engine.queue("orders")
    await _die(world, *"abc")
    require(await queue.purge(["b", "nobody", "b"]), 1, "how many there were")
    require([letter.message.id for letter in await queue.dead_letters()], ["a", "c"], "the dead letters that stay")
    require(await queue.redrive(["b"]), 0, "how many of the purged can be driven again")


@obligation("virtual time")
async def a_message_that_dies_again_has_one_dead_letter(world: World) -> None:
    """After the window for duplicates an id may come again: while it is held, its letter cannot be driven again beside
    it; when it dies too, the last death counts."""
    queue = world.engine.queue("orders")
    await _die(world, *"ab")
    await world.pass_time(3 * 3600.0)
    require(await put(queue, "a"), [True], "whether a is new after the window")
    require(await queue.redrive(["a"]), 0, "how many were driven again while a is held")
    await (await world.one(queue)).bury("again")
    found = [(letter.message.id, letter.reason) for letter in await queue.dead_letters()]
    require(found, [("b", "dead"), ("a", "again")], "the dead letters")


async def _die(world: World, *names: str) -> None:
    """Let these messages die, each at its second attempt."""
    queue = world.engine.queue("orders")
    for name in names:
        await put(queue, name)
        await (await world.one(queue)).release(0.0, counted=True, lost=True)
        await (await world.one(queue)).bury("dead")
