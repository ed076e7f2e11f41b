"""Works off a queue together with others; at its end it tells how many messages it had."""

import anyio
from common import engine, tell


async def main():
    count = 0
    async with engine() as opened:
        queue = opened.queue("q")
        tell("ready")
        while leases := await queue.receive(1, 60.0, wait=0.3 if count else 30.0):
            await queue.ack(leases)
            count += 1
    tell(count)


anyio.run(main)
