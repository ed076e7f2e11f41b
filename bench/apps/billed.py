"""The app of bench/soak/bills.py: functions that note what they did under the id of their request. How many attempts at
an event fail is decided by the event."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable

from fnframe_queue import Queue
from fnframe_stream import Stream

from fnframe import App, Batch, Context

app = App("billed")

LOG = os.environ.get("BILLED_LOG", os.devnull)


def note(context: Context, names: Iterable[str]) -> None:
    """One write for all: a process that is ended leaves a whole line or none."""
    descriptor = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{context.function} {context.request_id} {context.attempt} {' '.join(names)}\n".encode())
    os.close(descriptor)


@app.function(Queue("orders", batch_size=5, maximum_attempts=100, poison=100))
def orders(batch: Batch[str], context: Context) -> None:
    note(context, batch.data)


@app.function(Stream("clicks", batch_size=20))
def clicks(batch: Batch[str], context: Context) -> None:
    note(context, batch.data)


@app.function(retries=2, poison=100)
def work(event: str, context: Context) -> None:
    if context.attempt <= zlib.crc32(event.encode()) % 3:
        raise ValueError(event)
    note(context, [event])


@app.function()
def ask(event: int) -> int:
    return event
