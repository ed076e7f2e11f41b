"""`isolation="inline"`: a trusted, tiny async handler in the host's own event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anyio

from .. import schema
from ..app import App
from ..context import OVER, Context
from ..errors import FnframeError, PayloadTooLarge
from ..event import encode_json
from ..function import Limits
from ..outcome import MemoryMethod
from . import failure
from .deadline import DeadlinePassed, Deadlines, deadlines
from .invocation import Deliver, Ended, Invocation, Reply
from .wire import Result, Send, Usage


class Inline:
    """Runs the inline functions of an app. Its deadline is cancellation; memory and processor time go unmeasured."""

    memory_method: MemoryMethod = "unavailable"

    def __init__(self, app: App, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._deadlines: Deadlines = deadlines()

    async def exchange(self, invocation: Invocation, deliver: Deliver) -> None:
        invocation.started = time.monotonic()
        name = invocation.function.name
        handler: Any = self._app.definitions[name].handler
        signatures = self._app.signatures
        if name not in signatures:  # Its type was defined further down: the module is complete now.
            self._app.sign(self._app.definitions[name])
        arguments, decode, _, complete = signatures[name]
        try:
            argument = decode(invocation.event) if arguments else None
            if arguments == 0:
                running = handler()
            elif arguments == 1:
                running = handler(argument)
            else:
                running = handler(argument, self._context(invocation, deliver))
            value = await self._deadlines.hold(running, invocation.function.timeout)
            if complete is not None:
                value = complete(argument, value)
        except schema.InvalidEvent as problem:
            invocation.reply = failure.invalid_event(problem, _usage(invocation))
        except DeadlinePassed:
            _usage(invocation)
            invocation.reply = Ended("timeout", None, None, None)
        except BaseException as error:
            if _is_cancellation(error):
                _usage(invocation)
                invocation.reply = Ended("cancelled", None, None, None)
                raise
            # Whatever else it raises is its own: it must not end the host, nor who runs it.
            invocation.reply = failure.raised(error, _usage(invocation))
        else:
            invocation.reply = self._reply(invocation, value)

    def _reply(self, invocation: Invocation, value: Any) -> Reply:
        try:
            content_type, payload = schema.encode_result(value)
        except Exception as problem:
            return failure.invalid_result(problem, _usage(invocation))
        if len(payload) > self._limits.response_payload:
            return failure.too_large(self._limits.response_payload, _usage(invocation))
        return Result(payload, content_type, _usage(invocation))

    def _context(self, invocation: Invocation, deliver: Deliver) -> Context:
        sent = 0

        async def send(target: str, data: Any, key: str | None, delay: float) -> str:
            nonlocal sent
            body = encode_json(data)
            if len(body) > self._limits.asynchronous_payload:
                raise PayloadTooLarge(target, len(body), self._limits.asynchronous_payload)
            if invocation.reply is not None:  # A task that the handler left goes on.
                raise FnframeError(OVER)
            sent += 1
            ack = await deliver(invocation, Send(target, body, sent, key, delay))
            if ack.event_id is None:
                raise FnframeError(ack.problem)
            return ack.event_id

        return Context(
            request_id=invocation.request_id,
            function=invocation.function.name,
            memory=invocation.function.memory,
            deadline=invocation.started + invocation.function.timeout,
            attempt=invocation.attempt,
            trace=invocation.event.traceparent,
            send=send,
        )


def _is_cancellation(error: BaseException) -> bool:
    """Whether the caller's task is cancelled, or the program interrupted: not all that looks like it is."""
    if isinstance(error, KeyboardInterrupt):
        return True
    if not isinstance(error, anyio.get_cancelled_exc_class()):
        return False
    return asyncio._get_running_loop() is None or bool(asyncio.current_task().cancelling())  # type: ignore[union-attr]


def _usage(invocation: Invocation) -> Usage:
    """Stop the clock: wall time is all that one handler among others in a process can be told to have used."""
    invocation.finished = time.monotonic()
    return Usage(round((invocation.finished - invocation.started) * 1e9), 0, None, 0, False)
