"""A Python handler that was written for Lambda, in an environment's own process."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import msgspec

from fnframe.event import JSON, UNDECODABLE, Event
from fnframe.provider import Answer, Call, Problem, Start

from .. import variables
from ..origin import EVENT_TYPE, Origin, decode_origin
from ..shapes.shape import shape_of
from ..spec import EventFormat, spec_of
from ..trace import header_of, new_traceparent
from . import handler, logs, marshal
from .account import ACCOUNT
from .beginning import Beginning
from .context import LambdaContext

WARNING = (
    "Unhandled exception. The most likely cause is an issue in the function code. However, in rare cases, a Lambda "
    "runtime update can cause unexpected function behavior. For functions using managed runtimes, runtime updates can "
    "be triggered through a function change, or can be applied automatically. To determine if the runtime has been "
    "updated, check the runtime version in the INIT_START log entry. If this error correlates with a change in the "
    "runtime version, you may be able to mitigate this error by temporarily rolling back to the previous runtime "
    "version."
)


def start(begin: Start) -> PythonFunction:
    """The inside of an environment: import the handler, as Lambda does in its init phase. Raises `Problem`."""
    spec = spec_of(begin.function)
    assert spec is not None
    os.environ.update(variables.of_environment(begin, spec))
    logs.set_up()
    encode = marshal.encoder()
    with Beginning(begin, spec):
        try:
            found = handler.find(spec.handler)
        except Exception as error:
            payload = handler.payload_of(error, "")
            sys.stdout.write(f"LAMBDA_WARNING: {WARNING}\n")
            logs.tell_error(payload, encode)
            raise _problem(payload, encode) from None
    logs.unbuffer()
    return PythonFunction(found, spec.event_format, encode)


class PythonFunction:
    """See `fnframe.provider.Serve`."""

    elsewhere = False

    def __init__(self, handler: Any, wanted: EventFormat, encode: Any) -> None:
        self._handler = handler
        self._format = wanted
        self._encode = encode
        name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self._plain = Origin(ACCOUNT.function_arn(name))

    def __call__(self, call: Call) -> Answer:
        logs.Current.request_id = call.request_id
        try:
            shape = shape_of(call.event, self._format, call.request_id, ACCOUNT)
            event = self._event(call.event) if shape is None else shape.event
            result = self._handler(event, self._context(call))
            if isinstance(result, bytes):
                return Answer(bytes(result), "application/unknown")
            payload = self._encoded(result).encode("utf-8", "surrogatepass")
            if shape is None or shape.answer is None:
                return Answer(payload)
            return shape.answer(marshal.decode(payload))
        except Problem:
            raise
        except Exception as error:
            told = handler.payload_of(error, call.request_id)
            logs.tell_error(told, self._encode)
            raise _problem(told, self._encode) from None

    def _event(self, event: Event) -> Any:
        if event.datacontenttype != JSON:
            return event.data
        try:
            return marshal.decode(event.data)
        except Exception as error:
            raise handler.Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None

    def _encoded(self, result: Any) -> str:
        try:
            text: str = self._encode(result)
        except Exception as error:
            raise handler.Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None
        return text

    def _context(self, call: Call) -> LambdaContext:
        event = call.event
        origin = decode_origin(event.origin) if event.type == EVENT_TYPE and event.origin else self._plain
        # Lambda gives each invocation a trace, sampled or not; X-Ray's library complains where there is none.
        os.environ["_X_AMZN_TRACE_ID"] = header_of(event.traceparent) or header_of(new_traceparent()) or ""
        logs.Current.tenant_id = origin.tenant_id
        return LambdaContext(
            call.request_id,
            _client_context(origin.client_context),
            int((time.time() + call.timeout) * 1000),
            origin.function_arn,
            origin.tenant_id,
        )


def _client_context(text: str) -> Any:
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except UNDECODABLE as error:
        problem = f"Unable to parse Client Context JSON: {error}"
        raise handler.Fault("Runtime.LambdaContextUnmarshalError", problem) from None


def _problem(payload: dict[str, Any], encode: Any) -> Problem:
    return Problem(
        payload["errorType"],
        payload["errorMessage"],
        stack_trace=payload["stackTrace"],
        body=encode(payload).encode("utf-8", "surrogatepass"),
    )
