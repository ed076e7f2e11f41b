"""Where events, messages and records are accepted: what is refused, and what the engine gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine.protocol import Message, Record
from ..environment.wire import Ack, Send
from ..errors import FnframeError, PayloadTooLarge, RecursionStopped
from ..event import Event, new_id, now
from ..sending import target_of
from ..tenant import EXTENSION
from .carried import Carried, wrapped
from .queues.asynchronous import Envelope, encode_envelope

if TYPE_CHECKING:
    from ..engine.protocol import Engine
    from ..environment.invocation import Invocation
    from .dispatcher import Dispatcher

PREFIX = "function:"
"""Of the names of functions' queues."""


def queue_name(function: str) -> str:
    """The queue of a function's asynchronous invocations."""
    return f"{PREFIX}{function}"


class Acceptance:
    """The way into the engine. `check_running` raises when nothing can be accepted any more; `arrived` hears of the
    functions that were given something to do."""

    def __init__(
        self, engine: Engine, dispatcher: Dispatcher, *, check_running: Callable[[], None],
        arrived: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._engine = engine
        self._dispatcher = dispatcher
        self._check_running = check_running
        self._arrived = arrived

    async def enqueue(
        self, function: str, event: Event, *, trigger: str, group: str | None = None, fresh: bool = False
    ) -> bool:
        """Put an event into the queue of a function's asynchronous invocations; False for a duplicate id.

        Events of one `group` are worked on in their order, one after the other. `fresh` promises that the id was made
        for this event alone. Raises `FunctionNotFound`, `PayloadTooLarge`,
        `RecursionStopped`, `QueueFull` and `NotRunning`.
        """
        self._dispatcher.function(function)
        self._check(function, len(event.data), event.depth)
        body = encode_envelope(Envelope(event, event.id if fresh else new_id(), trigger))
        message = Message(_message_id(event.source, event.id), body, group, fresh=fresh)
        (accepted,) = await self._engine.queue(queue_name(function)).send([message])
        self._arrived(function)
        return accepted

    async def is_pending(self, function: str, source: str, event_id: str) -> bool:
        """Whether an event that was accepted has not come to its end yet."""
        return await self._engine.queue(queue_name(function)).holds(_message_id(source, event_id))

    async def send(
        self, queue: str, carried: Carried, *, id_: str | None = None, group: str | None = None, delay: float = 0.0
    ) -> str:
        """Put a message into a queue; its id. Raises as `enqueue` does."""
        self._check(f"queue:{queue}", len(carried.data), carried.depth)
        message = Message(id_ or new_id(), wrapped(carried), group, fresh=id_ is None)
        await self._engine.queue(queue).send([message], delay=delay)
        return message.id

    async def publish(self, stream: str, carried: Carried, *, key: str, id_: str = "") -> bool:
        """Append a record to a stream; False for a duplicate id. Raises as `enqueue` does."""
        self._check(f"stream:{stream}", len(carried.data), carried.depth)
        (accepted,) = await self._engine.stream(stream).publish([Record(key, wrapped(carried), id_)])
        return accepted

    async def from_handler(self, invocation: Invocation, send: Send) -> Ack:
        """Accept what a handler sent from inside; its id makes a retry repeat rather than multiply."""
        try:
            return Ack(await self._from_handler(invocation.event, send, invocation.tenant), None)
        except (FnframeError, ValueError) as error:  # Whatever a handler says is its own mistake.
            return Ack(None, str(error))

    async def _from_handler(self, cause: Event, send: Send, tenant: str | None) -> str:
        target = target_of(send.target)
        depth = cause.depth + 1
        if target.kind == "function":
            event = Event(
                id=f"{cause.id}:{target.name}:{send.number}",
                source="fnframe:function",
                type="fnframe.function.enqueued",
                time=now(),
                data=send.data,
                traceparent=cause.traceparent,
                tracestate=cause.tracestate,
                extensions={} if tenant is None else {EXTENSION: tenant},
                depth=depth,
            )
            await self.enqueue(target.name, event, trigger="function")
            return event.id
        id_ = f"{cause.id}:{target}:{send.number}"
        carried = Carried(send.data, depth, cause.traceparent)
        if target.kind == "queue":
            return await self.send(target.name, carried, id_=id_, group=send.key, delay=send.delay)
        await self.publish(target.name, carried, key=send.key or "", id_=id_)
        return id_

    def _check(self, target: str, size: int, depth: int) -> None:
        self._check_running()
        limits = self._dispatcher.limits
        if size > limits.asynchronous_payload:
            raise PayloadTooLarge(target, size, limits.asynchronous_payload)
        if depth > limits.depth:
            raise RecursionStopped(target, depth)


def _message_id(source: str, event_id: str) -> str:
    # CloudEvents promise that source and id together are unique, not that an id is.
    return f"{source} {event_id}"
