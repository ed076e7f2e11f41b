"""Players: each moves at its own pace, over a connection of its own, and what they wait is measured.

python examples/game/load.py --players 200 --seconds 10 --pace 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from urllib.parse import urlsplit

SIZE = 16
LONGEST_PAUSE = 3.0


async def play(number: int, url: str, pace: float, end: float, waits: list[float]) -> int:
    """One player until the end; the points that it found. Raises for an answer other than 200."""
    luck = random.Random(number)
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    points = 0
    try:
        await asyncio.sleep(luck.random() / pace if pace else 0)
        while time.monotonic() < end:
            begun = time.monotonic()
            data = {"player": f"player-{number}", "x": luck.randrange(SIZE), "y": luck.randrange(SIZE)}
            points += (await _post(reader, writer, parts.netloc, data))["points"]
            waits.append(time.monotonic() - begun)
            if pace:
                # Not longer than a server keeps a connection on which nothing comes.
                await asyncio.sleep(max(0.0, begun + min(luck.expovariate(pace), LONGEST_PAUSE) - time.monotonic()))
    finally:
        writer.close()
    return points


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, data: object) -> dict[str, int]:
    body = json.dumps(data).encode()
    head = (
        f"POST /moves HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length = next(int(field.partition(":")[2]) for field in fields if field.lower().startswith("content-length"))
    answer = await reader.readexactly(length)
    if " 200 " not in status:
        raise RuntimeError(f"a move was answered {status}: {answer.decode(errors='replace')}")
    return json.loads(answer)


async def load(url: str, players: int, seconds: float, pace: float) -> tuple[list[float], int]:
    """What each move waited, in seconds, and the points of all players."""
    waits: list[float] = []
    end = time.monotonic() + seconds
    points = await asyncio.gather(*(play(number, url, pace, end, waits) for number in range(players)))
    return sorted(waits), sum(points)


def told(waits: list[float], seconds: float, points: int) -> str:
    at = {part: waits[min(len(waits) - 1, int(len(waits) * part))] * 1000 for part in (0.5, 0.99)}
    return (
        f"{len(waits)} moves, {len(waits) / seconds:.0f} a second: half within {at[0.5]:.1f} ms, "
        f"99 of 100 within {at[0.99]:.1f} ms, all within {waits[-1] * 1000:.1f} ms; {points} points"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", default="http://127.0.0.1:8000")
    options.add_argument("--players", type=int, default=200)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--pace", type=float, default=1.0, help="moves of a player in a second; 0 for no pause")
    given = options.parse_args()
    waits, points = asyncio.run(load(given.url, given.players, given.seconds, given.pace))
    print(told(waits, given.seconds, points))


if __name__ == "__main__":
    main()
