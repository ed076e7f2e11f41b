"""The app of bench/soak/kills.py: functions that note what they did, fail now and then, and take their environment
along more rarely. Which attempt fails is decided by its id, so that nothing fails for ever."""

from __future__ import annotations

import os
import zlib
from typing import Any

from fnframe_cron import Cron, Tick
from fnframe_files import Files, ObjectCreated
from fnframe_queue import Queue
from fnframe_stream import Stream

from fnframe import App, Batch, Context

app = App("kills")

LOG = os.environ.get("KILLS_LOG", os.devnull)
UPLOADS = os.environ.get("KILLS_UPLOADS", "uploads")
LIFE = os.environ.get("KILLS_HOST", "")
"""The host's process: another one in each life."""


def note(function: str, names: list[str]) -> None:
    """One write for all: a process that is ended leaves a whole line or none."""
    if names:
        line = f"{function} {LIFE} {' '.join(names)}\n".encode()
        descriptor = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line)
        os.close(descriptor)


def fails(name: str, attempt: int) -> bool:
    """Whether this attempt at it fails, or ends the environment."""
    dice = zlib.crc32(f"{name} {attempt}".encode()) % 1000
    if dice < 2:
        os._exit(3)
    return dice < 20


def handle(function: str, batch: Batch[Any]) -> None:
    done, blocked = [], set()
    for record in batch:
        place = None if record.position else record.key
        if place in blocked or fails(record.data, record.attempt):
            batch.fail(record)
            blocked.add(place)
        else:
            done.append(record.data)
        if record.position and blocked:  # In a stream all that lies behind it comes again.
            break
    note(function, done)


@app.function(Queue("orders", batch_size=5, maximum_attempts=10, poison=100))
def orders(batch: Batch) -> None:
    handle("orders", batch)


@app.function(Stream("clicks", batch_size=20, lanes=2))
def clicks(batch: Batch) -> None:
    handle("clicks", batch)


@app.function(retries=10, poison=100)
def work(event: str, context: Context) -> None:
    if fails(event, context.attempt):
        raise ValueError(event)
    context.send("sent", event)
    note("work", [event])


@app.function(Queue("sent", batch_size=1, maximum_attempts=10, poison=100))
def sent(event: str) -> None:
    note("sent", [event])


@app.function(
    Cron("* * * * * *", misfire="all", name="free"),
    Cron("* * * * * *", misfire="all", overlap="queue", name="queue"),
    retries=10,
    poison=100,
)
def ticks(tick: Tick[None], context: Context) -> None:
    name = f"{tick.schedule}-{tick.scheduled.timestamp():.0f}"
    if fails(name, context.attempt):
        raise ValueError(name)
    note("ticks", [name])


@app.function(Files(UPLOADS), retries=10, poison=100)
def objects(event: ObjectCreated, context: Context) -> None:
    name = f"{event.key}@{event.etag}"
    if fails(name, context.attempt):
        raise ValueError(name)
    note("objects", [name])
