"""Sends messages until it is killed, 16 at a time; of each it tells that it begins, and that it was accepted."""

import itertools
import sys

import anyio
from common import engine, tell

from fnframe.engine.protocol import Message, Record


async def main():
    name = sys.argv[2]
    async with engine() as opened, anyio.create_task_group() as tasks:
        queue, stream = opened.queue("q"), opened.stream("s")

        async def produce(lane):
            for number in itertools.count():
                id_ = f"{name}-{lane}-{number:05}"
                group = f"{name}-{lane}" if lane % 2 else None
                body = b"x" * (70_000 if number % 20 == 7 else 50)
                tell("begins", id_)
                await queue.send([Message(id_, body, group)])
                tell("accepted", id_)
                await stream.publish([Record(f"{name}-{lane}", b"x", id_)])
                tell("published", id_)

        for lane in range(8):
            tasks.start_soon(produce, lane)


anyio.run(main)
