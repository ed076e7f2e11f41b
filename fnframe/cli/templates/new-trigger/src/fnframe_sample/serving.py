"""What the trigger does while the app runs. It is stopped by cancellation: nothing here catches that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from fnframe import ConfigurationError, Event, QueueFull
from fnframe.event import encode_json, new_id, now

if TYPE_CHECKING:
    from anyio.abc import SocketStream, TaskStatus
    from fnframe import Mapping

LONGEST = 64 * 1024


async def serve(mapping: Mapping, port: int, task_status: TaskStatus[str]) -> None:
    async def handle(client: SocketStream) -> None:
        async with client:
            lines = BufferedByteReceiveStream(client)
            try:
                while True:
                    line = await lines.receive_until(b"\n", LONGEST)
                    # Not before the engine has it: what a client believes to be done it forgets.
                    await client.send(await accept(mapping, line))
            except (anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError):
                return  # It went away, or sends no lines.

    try:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    except OSError as error:  # Somebody can mend that: a message at their line, and no traceback.
        raise ConfigurationError(
            f"Sample: cannot listen on port {port} of 127.0.0.1: {error.strerror or error}",
            where=mapping.function.where,
        ) from error
    async with listener:
        address = listener.extra(anyio.abc.SocketAttribute.local_port)
        task_status.started(f"127.0.0.1:{address}")  # For a person, and for tests: it listens now.
        await listener.serve(handle)


async def accept(mapping: Mapping, line: bytes) -> bytes:
    text = line.decode(errors="replace")
    event = Event(
        # Of two events with one id and source the second is taken for a repetition and is not run. Lines have no id of
        # their own; where the outside gives one, a message's or a version's, take that, and a repetition does no harm.
        id=new_id(),
        source="sample",
        type="fnframe.sample.line",
        time=now(),
        data=encode_json(text),
    )
    try:
        await mapping.enqueue(event)
    except QueueFull:
        return b"busy\n"
    return b"ok\n"
