"""Receives messages until it is killed, or, with `all`, until none is left; it tells which it has, and which it did."""

import sys

import anyio
from common import engine, tell


async def main():
    until_empty = sys.argv[2] == "all"
    async with engine() as opened:
        queue = opened.queue("q")
        while True:
            leases = await queue.receive(8, 1.0, wait=2.0)
            if not leases and until_empty and not (await queue.statistics()).total:
                break
            for lease in leases:
                tell("has", lease.message.id, lease.message.lost, len(lease.message.body))
            await queue.ack(leases)
            for lease in leases:
                tell("done", lease.message.id)


anyio.run(main)
