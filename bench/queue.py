"""Queues: what the bare engines hold, and asynchronous invocations of a function that does nothing, from end to end.

`end to end`: 10,000 events of 100 bytes are sent by 64 tasks, each of which waits until the engine has accepted its
event, and each runs in an environment of its own, with its limits, its report and its acknowledgement. The peers run
the function in their worker's process. On sqlite, and where huey and persist-queue use it, accepted means on the disk.
`one producer`: a single task that waits for each event.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from . import queue_peers
from .harness import Figures, Goal, case, main
from .queue_peers import folder, rates
from .workload import EVENT

if TYPE_CHECKING:
    from fnframe.engine.protocol import Engine

COUNT = 10_000
FEW = 3_000
"""Events of a producer that waits for each."""
PRODUCERS = 64
BODY = b"x" * 300
URLS = {"memory": "memory:", "sqlite": "sqlite:///engine.db", "sqlite normal": "sqlite:///engine.db?synchronous=normal"}

APP = """
from fnframe import App

app = App("bench")


@app.function(retries=0)
def noop(event):
    pass
"""

PEERS = {
    "huey on SQLite": queue_peers.huey_sqlite,
    "persist-queue on SQLite": queue_peers.persist_queue,
    "huey on Redis": queue_peers.huey_redis,
    "dramatiq on Redis": queue_peers.dramatiq,
    "taskiq on Redis": queue_peers.taskiq,
    "FastStream on JetStream": queue_peers.faststream,
}


async def by_many(send: Callable[[], Awaitable[object]], count: int, producers: int) -> None:
    """Have it done `count` times, by so many tasks."""
    import anyio

    async def produce(share: int) -> None:
        for _ in range(share):
            await send()

    async with anyio.create_task_group() as tasks:
        for number in range(producers):
            tasks.start_soon(produce, count // producers + (number < count % producers))


def bare(engine: str, producers: int, count: int) -> Figures:
    """Messages a second: sent; then received by as many tasks, each of which acknowledges what it got."""
    import anyio

    from fnframe.engine.memory import MemoryEngine
    from fnframe.engine.protocol import EngineOptions, Message

    figures = {}

    async def run(opened: Engine) -> None:
        queue = opened.queue("q")
        left = count

        async def send() -> None:
            await queue.send([Message(str(time.perf_counter_ns()), BODY, fresh=True)])

        async def consume(scope: anyio.CancelScope) -> None:
            nonlocal left
            while True:
                for lease in await queue.receive(1, 60.0):
                    await lease.ack()
                    left -= 1
                if left == 0:
                    scope.cancel()

        begun = time.perf_counter()
        await by_many(send, count, producers)
        sent = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(producers):
                tasks.start_soon(consume, tasks.cancel_scope)
        figures.update(send=count / (sent - begun), receive=count / (time.perf_counter() - sent))

    async def opened() -> None:
        options = EngineOptions(directory=folder(), queue_bound=10 * count)
        if engine == "memory":
            async with MemoryEngine(options) as made:
                return await run(made)
        from fnframe_sqlite import SqliteEngine

        async with SqliteEngine(URLS[engine], options) as made:
            return await run(made)

    anyio.run(opened)
    return figures


def end_to_end(engine: str, producers: int, count: int) -> Figures:
    import anyio

    from fnframe.event import encode_json
    from fnframe.runtime.run import run_target

    place = folder()
    (place / "app.py").write_text(APP)
    payload = encode_json(EVENT)

    async def run() -> Figures:
        settings = {"engine": URLS[engine], "max_environments": 2}
        async with run_target(str(place / "app.py"), settings=settings) as running:

            async def send() -> None:
                await running.enqueue("noop", payload=payload)

            await by_many(send, 200, PRODUCERS)
            await running.drained()
            begun = time.perf_counter()
            await by_many(send, count, producers)
            sent = time.perf_counter()
            await running.drained()
            return rates(count, begun, sent, time.perf_counter())

    return anyio.run(run)


for engine in URLS:
    case(f"{engine}, bare")(partial(bare, engine, PRODUCERS, COUNT))
    case(f"{engine}, bare, one producer")(partial(bare, engine, 1, FEW))
    case(f"{engine}, end to end")(partial(end_to_end, engine, PRODUCERS, COUNT))
    case(f"{engine}, end to end, one producer")(partial(end_to_end, engine, 1, FEW))
for peer, measure in PEERS.items():
    case(peer)(measure)

GOALS = [
    *(
        Goal(f"{engine}, end to end", "e2e", against=peer, at_least=2.0)
        for engine in ("memory", "sqlite")
        for peer in PEERS
    ),
    Goal("sqlite, end to end, one producer", "e2e", against="huey on SQLite", at_least=1.0),
]

if __name__ == "__main__":
    columns = {
        "e2e": "end to end/s",
        "enqueue": "accepted/s",
        "send": "bare: sent/s",
        "receive": "bare: received, done/s",
    }
    main(__spec__, GOALS, columns, rounds=3)
