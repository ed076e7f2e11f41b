"""Payloads that do not fit into a socket at once: whole, in order, and gone with their environment."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import anyio
import pytest
from facts import live_pids

from fnframe import Failure
from fnframe.runtime.run import run_target

APP = str(Path(__file__).parent.parent / "apps" / "behaviours.py")
LARGE = b"x" * 3_000_000


@pytest.mark.anyio
@pytest.mark.parametrize("environments", [1, 2])
async def test_large_and_small_mixed_come_whole_and_to_whom_they_belong(environments, write_app):
    """A large one overtook a small one that was held, to be sent with others: each got the other's answer."""
    target = write_app(
        "from fnframe import App, Event\n"
        "app = App('sizes')\n"
        "@app.function(timeout=30)\n"
        "def length(event: Event): return len(event.data)\n"
    )
    async with run_target(target, settings={"max_environments": environments}) as running:
        for _ in range(900):  # So that the pool takes the function for a short one, and sends ahead.
            await running.invoke("length", payload=b"x")

        async def client(sizes: list[int]) -> None:
            for size in sizes:
                outcome = await running.invoke("length", payload=b"x" * size)
                assert outcome.unwrap() == size

        async with anyio.create_task_group() as tasks:
            for n in range(16):
                tasks.start_soon(client, [100, 31_000, 9_000, 33_000, 250_000 + n, 7] * 20)


@pytest.mark.anyio
async def test_an_environment_that_dies_before_it_took_all_of_the_event():
    async with run_target(APP, settings={"max_environments": 2}) as running:
        for _ in range(5):
            pid = await _pid_of(running, "length")
            os.kill(pid, signal.SIGSTOP)
            outcomes = []

            async def invoke(outcomes=outcomes):
                outcomes.append(await running.invoke("length", payload=LARGE))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(invoke)
                with anyio.fail_after(10):
                    while not any(environment.in_flight for environment in running.pool._live):
                        await anyio.sleep(0.001)
                os.killpg(pid, signal.SIGKILL)
            assert isinstance(outcomes[0], Failure)
            assert outcomes[0].error_type == "Runtime.ExitError"
            assert (await running.invoke("length", payload=LARGE)).unwrap() == len(LARGE)


async def _pid_of(running, function: str) -> int:
    await running.invoke(function, payload=b"")
    return (await live_pids(running, function))[0]


def test_nothing_is_raised_in_a_plain_event_loop():
    """Callbacks of a loop's readers run without what anyio keeps about the loop."""
    problems = []

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with run_target(APP, settings={"max_environments": 3}) as running:
            await running.invoke("length", payload=LARGE)
            assert (await running.invoke("spin")).error_type == "Sandbox.Timedout"
            os.kill(await _pid_of(running, "length"), signal.SIGSTOP)
            call = asyncio.ensure_future(running.invoke("length", payload=LARGE))
            while not any(environment.in_flight for environment in running.pool._live):
                await asyncio.sleep(0.001)
            template = running._bundle.templates[0]
            os.kill(template._process.pid, signal.SIGKILL)
            await call
            assert (await running.invoke("length", payload=LARGE)).unwrap() == len(LARGE)

    asyncio.run(program())
    assert problems == []


@pytest.mark.anyio
async def test_a_handler_that_enqueues_too_much_is_told_so_itself():
    async with run_target(APP) as running:
        for size in (1_100_000, 12_000_000):
            outcome = await running.invoke("sends_much", size)
            assert (outcome.kind, outcome.error_type) == ("failed", "PayloadTooLarge")
            assert f"has {size + 2:,} bytes of data; the limit here is 1,048,576 bytes" in outcome.message
        assert len((await running.invoke("sends_much", 1_000_000)).unwrap()) > 0


@pytest.mark.anyio
async def test_where_the_limit_is_raised_it_may_be_larger_than_a_response(write_app):
    source = """
from fnframe import App, Context, Limits

app = App("large", limits=Limits(asynchronous_payload=20_000_000))


@app.function()
def takes(event):
    return None


@app.function(timeout=10.0)
def sends(event, context: Context):
    return context.enqueue("takes", "x" * event)
"""
    async with run_target(write_app(source)) as running:
        assert len((await running.invoke("sends", 15_000_000)).unwrap()) > 0
