"""A trigger in forty lines: each datagram that arrives at a port of UDP is an event."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fnframe import ConfigurationError, Event, QueueFull, Trigger
from fnframe.event import new_id, now

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping


class Udp(Trigger, frozen=True):
    """Datagrams to a port of this machine: `Udp(port=5140)`. Port 0 takes one that is free.

    The handler gets a datagram that is JSON decoded, and takes any other as `event: Event`. One that comes while the
    queue is full is dropped, as UDP drops what nobody fetches.
    """

    port: int

    async def run(self, mapping: Mapping, *, task_status: TaskStatus[str]) -> None:
        import anyio  # Every environment is forked from a process that imported this module.

        try:
            socket = await anyio.create_udp_socket(local_host="127.0.0.1", local_port=self.port)
        except OSError as error:
            problem = f"Udp: cannot listen on port {self.port} of 127.0.0.1: {error.strerror or error}"
            raise ConfigurationError(problem, where=mapping.function.where) from error
        async with socket:
            host, port = socket.extra(anyio.abc.SocketAttribute.local_address)
            task_status.started(f"udp://{host}:{port}")
            async for data, (sender, _) in socket:
                event = Event(id=new_id(), source=f"udp:{sender}", type="datagram", time=now(), data=data)
                with suppress(QueueFull):
                    await mapping.enqueue(event)
