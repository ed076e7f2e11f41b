"""Takes a message and the partitions of a stream for an hour, says so, and stays."""

import anyio
from common import engine, tell


async def main():
    async with engine() as opened:
        leases = await opened.queue("q").receive(1, 3600)
        claims = await opened.stream("s").claim("group", "keeper", 100, 3600)
        await opened.stream("s").join("group", "keeper", 3600)
        tell("holds", len(leases), len(claims))
        await anyio.sleep_forever()


anyio.run(main)
