"""Sends until no file may grow any more, then with space again; it tells what it was told, and what is there."""

import resource

import anyio
from common import engine, tell

from fnframe import EngineFailed
from fnframe.engine.protocol import Message

LITTLE = 400_000
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)


async def main():
    accepted = 0
    async with engine() as opened:
        queue, state = opened.queue("q"), opened.state("s")
        await state.put("key", b"before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE, most))
        try:
            while True:
                await queue.send([Message(str(accepted), b"x" * 1000)])
                accepted += 1
        except EngineFailed as error:
            tell("full", error)
        for what in (queue.send([Message("large", b"x" * 600_000)]), state.put("key", b"y" * 100_000)):
            try:
                await what
            except EngineFailed as error:
                tell("full", error)
        assert await state.get("key") == b"before"
        assert (await queue.statistics()).waiting == accepted > 10
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert await queue.send([Message(str(accepted), b""), Message("0", b"")]) == [True, False]
        assert await queue.send([Message("large", b"x" * 600_000)]) == [True]
        leases = await queue.receive(accepted + 2, 60.0)
        assert [lease.message.id for lease in leases] == [*map(str, range(accepted + 1)), "large"]
        await queue.ack(leases)
        await state.put("key", b"after")
        assert (await queue.statistics()).total == 0
        tell("went on")


anyio.run(main)
