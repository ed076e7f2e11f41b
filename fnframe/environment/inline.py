"""`isolation="inline"`: a trusted, tiny async handler in the host's own event loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from .. import schema
from ..app import App
from ..context import Context
from ..errors import FnframeError
from ..event import encode_json
from ..outcome import INVALID_EVENT, INVALID_RESULT, RESPONSE_TOO_LARGE, MemoryMethod
from . import failure
from .call import Call, Ended, Reply
from .deadline import DeadlinePassed, Deadlines, deadlines
from .wire import Ack, Raised, Result, Send, Usage

Deliver = Callable[[Send], Awaitable[Ack]]


class Inline:
    """Runs the inline functions of an app. Its deadline is cancellation; memory and processor time go unmeasured."""

    memory_method: MemoryMethod = "unavailable"

    def __init__(self, app: App, response_payload: int) -> None:
        self._app = app
        self._response_payload = response_payload
        self._deadlines: Deadlines = deadlines()

    async def exchange(self, call: Call, deliver: Deliver) -> None:
        call.started = time.monotonic()
        handler = self._app.definitions[call.function].handler
        signatures = self._app.signatures
        if call.function not in signatures:  # Its type was defined further down: the module is complete now.
            signatures[call.function] = schema.signature_of(handler)
        arguments, decode = signatures[call.function]
        event = call.invoke.event
        try:
            if arguments == 0:
                running = handler()
            elif arguments == 1:
                running = handler(decode(event))
            else:
                running = handler(decode(event), self._context(call, deliver))
            value = await self._deadlines.hold(running, call.timeout)
        except schema.InvalidEvent as problem:
            call.reply = Raised(INVALID_EVENT, f"Unable to unmarshal input: {problem}", [], True, _usage(call))
        except DeadlinePassed:
            _usage(call)
            call.reply = Ended("timeout", None, None, None)
        except Exception as error:
            call.reply = failure.raised(error, _usage(call))
        except BaseException:
            _usage(call)
            call.reply = Ended("cancelled", None, None, None)
            raise
        else:
            call.reply = self._reply(call, value)

    def _reply(self, call: Call, value: Any) -> Reply:
        try:
            content_type, payload = schema.encode_result(value)
        except Exception as problem:
            text = f"Unable to marshal response: {failure.text_of(problem)}"
            return Raised(INVALID_RESULT, text, [], False, _usage(call))
        if len(payload) > self._response_payload:
            text = f"Response payload size exceeded maximum allowed payload size ({self._response_payload} bytes)."
            return Raised(RESPONSE_TOO_LARGE, text, [], False, _usage(call))
        return Result(payload, content_type, _usage(call))

    def _context(self, call: Call, deliver: Deliver) -> Context:
        sent = 0

        async def enqueue(function: str, data: Any) -> str:
            nonlocal sent
            sent += 1
            ack = await deliver(Send(function, encode_json(data), sent))
            if ack.event_id is None:
                raise FnframeError(ack.problem)
            return ack.event_id

        invoke = call.invoke
        return Context(
            request_id=invoke.request_id,
            function=call.function,
            memory=self._app.definitions[call.function].function.memory,
            deadline=call.started + call.timeout,
            attempt=invoke.attempt,
            trace=invoke.event.traceparent,
            enqueue=enqueue,
        )


def _usage(call: Call) -> Usage:
    """Stop the clock: wall time is all that one handler among others in a process can be told to have used."""
    call.finished = time.monotonic()
    return Usage(round((call.finished - call.started) * 1e9), 0, None, 0, False)
