"""`isolation="inline"`: a trusted, tiny async handler in the host's own event loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from .. import schema
from ..app import App
from ..context import Context
from ..errors import FnframeError
from ..event import encode_json
from ..outcome import INVALID_EVENT, INVALID_RESULT, RESPONSE_TOO_LARGE, MemoryMethod
from . import failure
from .call import Call, Ended
from .wire import Ack, Invoke, Raised, Result, Send, Usage


class Inline:
    """Runs the inline functions of an app. Its deadline is cancellation; memory and processor time go unmeasured."""

    memory_method: MemoryMethod = "unavailable"

    def __init__(self, app: App, response_payload: int) -> None:
        self._app = app
        self._response_payload = response_payload

    async def exchange(self, call: Call, deliver: Callable[[Send], Awaitable[Ack]]) -> None:
        definition = self._app.definitions[call.function]
        signature = self._app.signatures[call.function]
        call.started = time.monotonic()
        context = self._context(call, definition.function.memory, deliver)
        with anyio.move_on_after(call.timeout) as scope:
            call.reply = await self._run(definition.handler, signature, call.invoke, context)
        call.finished = time.monotonic()
        if scope.cancelled_caught:
            call.reply = Ended("timeout", None, None, None)

    async def _run(
        self, handler: Callable[..., Any], signature: schema.Signature, invoke: Invoke, context: Context
    ) -> Result | Raised:
        begin = time.perf_counter_ns()

        def usage() -> Usage:
            return Usage(time.perf_counter_ns() - begin, 0, None, 0, False)

        try:
            arguments = (signature.decode(invoke.event), context)[: signature.arguments] if signature.arguments else ()
            value = await handler(*arguments)
        except schema.InvalidEvent as problem:
            return Raised(INVALID_EVENT, f"Unable to unmarshal input: {problem}", [], True, usage())
        except Exception as error:
            return failure.raised(error, usage())
        try:
            content_type, payload = schema.encode_result(value)
        except Exception as problem:
            text = f"Unable to marshal response: {failure.text_of(problem)}"
            return Raised(INVALID_RESULT, text, [], False, usage())
        if len(payload) > self._response_payload:
            text = f"Response payload size exceeded maximum allowed payload size ({self._response_payload} bytes)."
            return Raised(RESPONSE_TOO_LARGE, text, [], False, usage())
        return Result(payload, content_type, usage())

    def _context(self, call: Call, memory: int, deliver: Callable[[Send], Awaitable[Ack]]) -> Context:
        sent = 0

        async def send(verb: str, name: str, data: Any) -> str:
            nonlocal sent
            sent += 1
            ack = await deliver(Send(verb, name, encode_json(data), sent))
            if ack.event_id is None:
                raise FnframeError(ack.problem)
            return ack.event_id

        invoke = call.invoke
        return Context(
            request_id=invoke.request_id,
            function=call.function,
            memory=memory,
            deadline=call.started + call.timeout,
            attempt=invoke.attempt,
            trace=invoke.event.traceparent,
            send=send,
        )
