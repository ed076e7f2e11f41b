"""Obligations of state: named values that outlive an invocation."""

from __future__ import annotations

import anyio

from .obligation import World, obligation, require


@obligation()
async def a_value_is_what_was_put_last(world: World) -> None:
    """Keys are any text and values any bytes: paths, JSON, nothing."""
    state = world.engine.state("files")
    require(await state.get("a"), None, "a value that was never put")
    for key in ("a", "", "b/2", "ä ö\n'%_", "k" * 500):
        for value in (b"first", b"", bytes(range(256)) * 1000):
            await state.put(key, value)
            require(await state.get(key), value, f"the value of {key[:9]!r}")
    await state.delete("a")
    await state.delete("a")
    require(await state.get("a"), None, "a value that was deleted")


@obligation()
async def items_are_listed_by_prefix_in_the_order_of_their_keys(world: World) -> None:
    """A manifest is read back as a whole or by folder. A prefix is text, not a pattern."""
    state = world.engine.state("files")
    keys = ["b/2", "a", "b/10", "b", "b/1", "B/1", "b0", "%", "_", "b/ä", "c", "b/\U0001f600"]
    for key in keys:
        await state.put(key, key.encode())
    require([key for key, _ in await state.items()], sorted(keys), "all keys")
    require(await state.items("b/1"), [("b/1", b"b/1"), ("b/10", b"b/10")], "those with a prefix")
    for prefix in ("b", "b/", "%", "_", "b/\U0001f600", "nothing"):
        expected = sorted(key for key in keys if key.startswith(prefix))
        require([key for key, _ in await state.items(prefix)], expected, f"the keys that begin with {prefix!r}")


@obligation()
async def states_are_known_by_their_names(world: World) -> None:
    """Two mappings that keep the same key must not meet."""
    for name in ("files", "Files", "", "files/a"):
        await world.engine.state(name).put("key", name.encode())
    for name in ("files", "Files", "", "files/a"):
        require(await world.engine.state(name).items(), [("key", name.encode())], f"what {name!r} holds")


@obligation()
async def a_value_is_set_only_where_it_is_as_expected(world: World) -> None:
    """Who decides something together with others, decides by this."""
    state = world.engine.state("cron")
    require(await state.compare_and_set("a", b"1", b"2"), False, "set where there is nothing, but a value is expected")
    require(await state.get("a"), None, "the value after that")
    require(await state.compare_and_set("a", None, b"1"), True, "set where there is nothing")
    require(await state.compare_and_set("a", None, b"2"), False, "set where nothing is expected, but there is a value")
    require(await state.compare_and_set("a", b"0", b"2"), False, "set where another value is expected")
    require(await state.get("a"), b"1", "the value after those")
    require(await state.compare_and_set("a", b"1", b""), True, "set where the value is as expected")
    require(await state.compare_and_set("a", None, b"x"), False, "set where the value is empty, but none is expected")
    require(await state.compare_and_set("a", b"", b"x"), True, "set where the value is empty, as expected")


@obligation()
async def of_many_that_compare_one_sets(world: World) -> None:
    """A leader, a claim, a counter: no two may believe that they won."""
    state = world.engine.state("cron")
    won: list[int] = []

    async def attempt(number: int) -> None:
        if await state.compare_and_set("leader", None, str(number).encode()):
            won.append(number)

    async def count() -> None:
        for _ in range(10):
            while True:
                value = await state.get("count")
                if await state.compare_and_set("count", value, str(int(value or b"0") + 1).encode()):
                    break

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(attempt, number)
            tasks.start_soon(count)
    require(len(won), 1, "how many won")
    require(await state.get("leader"), str(won[0]).encode(), "who is the leader")
    require(await state.get("count"), b"100", "what ten counted to, each ten times")
