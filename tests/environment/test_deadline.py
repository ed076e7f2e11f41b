"""Deadlines of coroutines in the host's event loop."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import anyio
import anyio.lowlevel
import pytest

from fnframe.environment.deadline import DeadlinePassed, deadlines

pytestmark = pytest.mark.anyio
LONG = 30.0
SHORT = 0.03


async def returns(value):
    await anyio.lowlevel.checkpoint()
    return value


async def at_once(value):
    return value


async def raises(error):
    await anyio.lowlevel.checkpoint()
    raise error


async def raises_at_once(error):
    raise error


async def for_ever():
    await anyio.sleep_forever()


def cancelling() -> int:
    """How many cancellations of this task nobody has answered for yet, where the loop counts them."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return 0
    return task.cancelling() if task is not None else 0


@pytest.mark.parametrize("handler", [returns, at_once])
async def test_it_returns(handler):
    held = deadlines()
    assert [await held.hold(handler(n), LONG) for n in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("handler", [raises, raises_at_once])
@pytest.mark.parametrize("error", [ValueError("no luck"), TimeoutError("the handler's own"), StopAsyncIteration(1)])
async def test_what_it_raises_is_raised(handler, error):
    with pytest.raises(type(error)) as caught:
        await deadlines().hold(handler(error), LONG)
    assert caught.value is error


async def test_a_timeout_of_its_own_is_none_of_ours():
    async def gives_up():
        with anyio.fail_after(SHORT):
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await deadlines().hold(gives_up(), LONG)

    async def moves_on():
        with anyio.move_on_after(SHORT):
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return "moved on"

    assert await deadlines().hold(moves_on(), LONG) == "moved on"


async def test_it_passes_at_its_time():
    began = time.monotonic()
    with pytest.raises(DeadlinePassed):
        await deadlines().hold(for_ever(), SHORT)
    assert SHORT - 0.002 <= time.monotonic() - began < SHORT + 1.0
    assert cancelling() == 0
    await anyio.lowlevel.checkpoint()


async def test_it_is_no_timeout_error():
    assert not issubclass(DeadlinePassed, TimeoutError)


async def test_one_that_cleans_up_does_so_in_its_own_time():
    seen = []

    async def cleans_up():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            seen.append("cleaned up")

    with pytest.raises(DeadlinePassed):
        await deadlines().hold(cleans_up(), SHORT)
    assert seen == ["cleaned up"]


async def test_tasks_and_scopes_of_its_own_end_with_it():
    seen = []

    async def child():
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("ended")

    async def spreads():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child)
            tasks.start_soon(child)
            with anyio.CancelScope():
                await anyio.sleep_forever()

    with pytest.raises(DeadlinePassed):
        await deadlines().hold(spreads(), SHORT)
    assert seen == ["ended", "ended"]
    assert cancelling() == 0


async def test_what_cleaning_up_raises_is_raised():
    async def breaks():
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    with pytest.raises(ValueError, match="while cleaning up"):
        await deadlines().hold(breaks(), SHORT)
    assert cancelling() == 0, "the task goes on, and nothing of its cancellation is left"


async def test_one_that_returns_after_all_has_returned():
    """A handler that catches its cancellation gives an answer late; the host's task is not cancelled for it."""

    async def stubborn():
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return "after all"

    held = deadlines()
    assert await held.hold(stubborn(), SHORT) == "after all"
    assert cancelling() == 0
    with pytest.raises(DeadlinePassed):
        await held.hold(for_ever(), SHORT)
    assert cancelling() == 0


async def test_each_has_a_deadline_of_its_own():
    held, ended = deadlines(), {}

    async def one(name, seconds):
        began = time.monotonic()
        with pytest.raises(DeadlinePassed):
            await held.hold(for_ever(), seconds)
        ended[name] = time.monotonic() - began

    lengths = {"c": 0.12, "a": 0.02, "b": 0.07, "d": 0.17}
    async with anyio.create_task_group() as tasks:
        for name, seconds in lengths.items():
            tasks.start_soon(one, name, seconds)
    assert set(ended) == set(lengths)
    for name, seconds in lengths.items():
        assert seconds - 0.002 <= ended[name] < seconds + 1.0


async def test_one_that_comes_later_and_ends_sooner_does_not_wait():
    held, ended = deadlines(), []

    async def one(seconds):
        try:
            await held.hold(for_ever(), seconds)
        except DeadlinePassed:
            ended.append(seconds)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, LONG)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(one, SHORT)
    assert ended == [SHORT]


async def test_many_of_one_length():
    """Half of them return in time, out of the middle of those that wait for the same length."""
    held, ended, answered = deadlines(), [], []

    async def one(number):
        try:
            answered.append(await held.hold(for_ever() if number % 2 else returns(number), 0.5))
        except DeadlinePassed:
            ended.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one, number)
    assert sorted(ended) == list(range(1, 100, 2))
    assert sorted(answered) == list(range(0, 100, 2))


async def test_one_that_returned_in_time_is_not_ended_later():
    """The moment at which the first would have been ended passes while the same task waits for the second."""
    held = deadlines()
    assert await held.hold(returns(1), 0.2) == 1
    began = time.monotonic()
    with pytest.raises(DeadlinePassed):
        await held.hold(for_ever(), 0.3)
    assert time.monotonic() - began >= 0.298


async def test_nested_the_inner_passes():
    held = deadlines()

    async def outer():
        try:
            await held.hold(for_ever(), SHORT)
        except DeadlinePassed:
            return "the inner passed"

    assert await held.hold(outer(), LONG) == "the inner passed"
    assert cancelling() == 0


async def test_nested_the_outer_passes():
    held, seen = deadlines(), []

    async def outer():
        try:
            await held.hold(for_ever(), LONG)
        except DeadlinePassed:
            seen.append("the inner passed")
            raise

    with pytest.raises(DeadlinePassed):
        await held.hold(outer(), SHORT)
    assert seen == []
    assert cancelling() == 0


async def test_nested_both_at_once():
    held = deadlines()

    async def outer():
        await held.hold(for_ever(), SHORT)

    with pytest.raises(DeadlinePassed):
        await held.hold(outer(), SHORT)
    assert cancelling() == 0
    assert await held.hold(returns(1), LONG) == 1


async def test_cancelled_from_outside_it_is_cancelled():
    held, seen = deadlines(), []

    async def notes():
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("ended")

    with anyio.move_on_after(SHORT) as scope:
        await held.hold(notes(), LONG)
    assert scope.cancelled_caught
    assert seen == ["ended"]
    assert cancelling() == 0


async def test_cancelled_from_outside_and_by_its_deadline_it_is_cancelled():
    """Both in one turn of the loop: whoever waits outside must hear of his own cancellation."""
    held, seen = deadlines(), []

    async def blocks():
        try:
            await anyio.lowlevel.checkpoint()
            began = time.monotonic()
            while time.monotonic() < began + 2 * SHORT:  # Meanwhile both moments pass.
                pass
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    with anyio.move_on_after(SHORT) as scope:
        try:
            await held.hold(blocks(), SHORT)
        except DeadlinePassed:
            await anyio.sleep_forever()  # Which of them came first is not said, but the outer one holds.
    assert scope.cancelled_caught
    assert seen == ["cancelled"]
    assert cancelling() == 0


async def test_a_task_that_is_cancelled_ends_cancelled():
    held, result = deadlines(), []

    async def one(scope):
        with scope:
            try:
                await held.hold(for_ever(), LONG)
            except DeadlinePassed:
                result.append("passed")
            result.append("went on")

    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()
        tasks.start_soon(one, scope)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
    assert result == []
    assert scope.cancelled_caught


class Marker:
    """Something that a coroutine holds, to see that it is gone."""


async def test_nothing_is_left_in_its_books():
    """A host runs for months: what is done, in whatever way, is held by nobody."""
    held, gone = deadlines(), []

    async def one(end):
        marker = Marker()
        gone.append(weakref.ref(marker))
        await end()
        return marker

    async def cancelled():
        with anyio.CancelScope() as scope:
            scope.cancel()
            await held.hold(one(for_ever), LONG)

    async def passed():
        with pytest.raises(DeadlinePassed):
            await held.hold(one(for_ever), SHORT)

    async def failed():
        with pytest.raises(ValueError, match="x"):
            await held.hold(one(lambda: raises(ValueError("x"))), LONG)

    async def returned():
        await held.hold(one(anyio.lowlevel.checkpoint), LONG)

    async with anyio.create_task_group() as tasks:
        for way in (cancelled, passed, failed, returned):
            for _ in range(3):
                tasks.start_soon(way)
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert len(gone) == 12
    assert [reference() for reference in gone] == [None] * 12


async def test_no_task_is_left_in_its_books():
    held, tasks_seen = deadlines(), []

    async def one(seconds):
        marker = Marker()
        tasks_seen.append(weakref.ref(marker))
        try:
            await held.hold(for_ever() if seconds == SHORT else returns(1), seconds)
        except DeadlinePassed:
            pass
        return marker

    async with anyio.create_task_group() as tasks:
        for seconds in (SHORT, LONG, SHORT, LONG):
            tasks.start_soon(one, seconds)
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert [reference() for reference in tasks_seen] == [None] * 4
