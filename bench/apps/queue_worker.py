"""The worker's side of the peers in `bench.queue`: one function of each that does nothing but count.

It is imported by their own workers. `QUEUE_KIND` says which peer, `QUEUE_URL` where its queue is; after so many calls
as `QUEUE_TARGETS` names, one after the other, the file `QUEUE_DONE.0`, `QUEUE_DONE.1` and so on appears.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

KIND, URL, TARGETS, DONE = (
    os.environ.get(name, "") for name in ("QUEUE_KIND", "QUEUE_URL", "QUEUE_TARGETS", "QUEUE_DONE")
)
_count = itertools.count(1).__next__
_targets = {int(target): place for place, target in enumerate(TARGETS.split(","))} if TARGETS else {}


def hit() -> None:
    count = _count()
    if count in _targets:
        Path(f"{DONE}.{_targets[count]}").touch()


if KIND.startswith("huey"):
    from huey import RedisHuey, SqliteHuey

    if KIND == "huey-sqlite":
        huey = SqliteHuey("q", filename=URL, results=False, fsync=True)
    else:
        huey = RedisHuey("q", url=URL, results=False)

    @huey.task()
    def noop(event):
        hit()


if KIND == "dramatiq":
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=URL)
    dramatiq.set_broker(broker)

    @dramatiq.actor
    def noop(event):
        hit()


if KIND == "taskiq":
    from taskiq_redis import RedisStreamBroker

    broker = RedisStreamBroker(URL)

    @broker.task
    async def noop(event: dict) -> None:
        hit()


if KIND == "faststream":
    from faststream import FastStream
    from faststream.nats import JStream, NatsBroker, PullSub

    broker = NatsBroker(URL, logger=None)
    app = FastStream(broker)

    @broker.subscriber(
        "q.x", stream=JStream("Q", subjects=["q.x"]), durable="d", pull_sub=PullSub(batch_size=100, timeout=1.0)
    )
    async def noop(event: dict):
        hit()
