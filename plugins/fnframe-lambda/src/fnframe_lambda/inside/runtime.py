"""A function that runs in an executable which speaks Lambda's Runtime API, in any language.

The environment's own process is a small server of that API, on loopback, and the parent of the runtime. The host holds
deadline, memory limit and output as for every environment; this process hands events over, and watches the runtime.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import time

import msgspec

from fnframe.event import UNDECODABLE
from fnframe.outcome import EXITED, RESPONSE_TOO_LARGE
from fnframe.provider import Answer, Call, Problem, Start, Used

from .. import variables
from ..command import command_of
from ..origin import EVENT_TYPE, Origin, decode_origin
from ..shapes.shape import Shape, shape_of
from ..spec import EventFormat, spec_of
from ..trace import header_of, new_traceparent
from .account import ACCOUNT
from .beginning import Beginning
from .child import Child
from .http1 import BadRequest, Connection, Request
from .replies import ACCEPTED, JSON, Reply, beside, content_type_of, error_body, not_allowed, problem_of

ROOT = b"/2018-06-01/runtime/"
MODES = (b"streaming", b"buffered")
_OUTCOME = re.compile(rb"invocation/([^/]+)/(response|error)")


def start(begin: Start) -> RuntimeFunction:
    """The inside of an environment: start the runtime, and wait until it asks for work. Raises `Problem`."""
    spec = spec_of(begin.function)
    assert spec is not None
    directory = os.environ["LAMBDA_TASK_ROOT"]
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    os.environ.update(variables.of_environment(begin, spec), AWS_LAMBDA_RUNTIME_API=f"{host}:{port}")
    with Beginning(begin, spec) as beginning:
        child = Child(command_of(spec, directory), directory)
        function = RuntimeFunction(listener, child, begin.response_payload, spec.event_format)
        if not function.begins():
            beginning.failed(EXITED)
            child.end_like_it()
    return function


class RuntimeFunction:
    """See `fnframe.provider.Serve`."""

    elsewhere = True

    def __init__(self, listener: socket.socket, child: Child, limit: int, wanted: EventFormat) -> None:
        self._listener = listener
        self._child = child
        self._limit = limit
        self._format = wanted
        self._payload = b""
        self._shape: Shape | None = None
        self._plain = Origin(ACCOUNT.function_arn(os.environ["AWS_LAMBDA_FUNCTION_NAME"]))
        self._connections: dict[int, Connection] = {}
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._poll.register(child.descriptor, select.POLLIN)
        self._waiting: Connection | None = None
        """The connection on which the runtime asks for work."""
        self._call: Call | None = None
        self._result: Answer | Problem | None = None
        self._init_problem: Problem | None = None
        self._begun = False
        self._busy = True
        signal.signal(signal.SIGCHLD, lambda *_: self._look_at_child())

    def begins(self) -> bool:
        """Return when the runtime asks for its first event, or has ended before it did. Raises `Problem` with what it
        said of its failure."""
        while self._waiting is None:
            if self._step():
                if self._init_problem is not None:
                    raise self._init_problem
                return False
        self._child.used()
        self._begun = True
        self._busy = False
        return True

    def __call__(self, call: Call) -> Answer:
        try:
            shape = shape_of(call.event, self._format, call.request_id, ACCOUNT)
        except Problem as problem:
            problem.used = self._child.used()
            raise
        self._busy = True
        self._call, self._result = call, None
        self._payload = call.event.data if shape is None else msgspec.json.encode(shape.event)
        self._shape = shape
        self._child.begin()
        assert self._waiting is not None
        waiting, self._waiting = self._waiting, None
        waiting.answer(b"200 OK", self._payload, self._headers(call))
        while self._waiting is None:
            if self._step():
                if self._result is None:
                    self._child.end_like_it()
                return self._told(self._child.used(spent=True))
        self._child.reap_orphans()
        used = self._child.used()
        self._call = None
        self._busy = False
        return self._told(used)

    def _told(self, used: Used) -> Answer:
        if isinstance(self._result, Problem):
            self._result.used = used
            raise self._result
        assert self._result is not None
        result = self._result
        if self._shape is not None and self._shape.answer is not None and result.content_type == "application/json":
            try:
                result = self._shape.answer(msgspec.json.decode(result.payload))
            except UNDECODABLE as error:
                raise Problem("Function.InvalidResponse", f"the answer is no JSON: {error}", used=used) from None
            except Problem as problem:
                problem.used = used
                raise
        return result._replace(used=used)

    def _step(self) -> bool:
        """Wait for something, and do it; whether the runtime has ended, and has nothing more to say."""
        ready = self._poll.poll()
        for descriptor, _ in ready:
            connection = self._connections.get(descriptor)
            if connection is not None:
                self._serve(connection)
            elif descriptor != self._child.descriptor:
                self._accept()
        return len(ready) == 1 and ready[0][0] == self._child.descriptor

    def _accept(self) -> None:
        accepted, _ = self._listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(accepted, self._limit)
        self._connections[connection.fileno()] = connection
        self._poll.register(connection, select.POLLIN)

    def _serve(self, connection: Connection) -> None:
        is_open = connection.receive()
        try:
            while (request := connection.request()) is not None:
                self._answer(connection, request)
            if not is_open and connection.is_amid_request:
                raise BadRequest("it ends before it is whole")
        except BadRequest:
            connection.answer(b"400 Bad Request", error_body("TruncatedHTTPRequest", "the request is no HTTP"), JSON)
            is_open = False
        if not is_open:
            self._poll.unregister(connection)
            del self._connections[connection.fileno()]
            if self._waiting is connection:
                self._waiting = None
            connection.close()

    def _answer(self, connection: Connection, request: Request) -> None:
        what = request.method, request.path.removeprefix(ROOT)
        if not request.path.startswith(ROOT):
            connection.answer(*beside(request.path))
        elif what == (b"GET", b"invocation/next"):
            self._next(connection)
        elif what == (b"POST", b"init/error"):
            connection.answer(*self._take_init_error(request))
        elif request.method == b"POST" and (found := _OUTCOME.fullmatch(what[1])) is not None:
            connection.answer(*self._take(request, *found.groups()))
        else:
            connection.answer(b"404 Not Found", error_body("NotFound", "the Runtime API has no such path"), JSON)

    def _next(self, connection: Connection) -> None:
        if self._call is not None and self._result is None:  # It asks again for what it has not answered.
            connection.answer(b"200 OK", self._payload, self._headers(self._call))
        else:
            self._waiting = connection

    def _take_init_error(self, request: Request) -> Reply:
        """The runtime says why it cannot begin, and what it is answered: once it has begun, that is too late."""
        if self._begun:
            return not_allowed("Ready" if self._call is None else "Running", "InitError")
        self._init_problem = problem_of(request)
        return ACCEPTED

    def _take(self, request: Request, request_id: bytes, kind: bytes) -> Reply:
        """The runtime answers an invocation; what it is answered itself."""
        if self._call is None or request_id.decode("latin-1") != self._call.request_id:
            return b"400 Bad Request", error_body("InvalidRequestID", "Invalid request ID"), JSON
        if self._result is not None:
            name = "InvocationResponse" if kind == b"response" else "InvocationErrorResponse"
            return not_allowed("RuntimeResponseSentState", name)
        mode = request.header(b"lambda-runtime-function-response-mode")
        if kind == b"response" and mode is not None and mode.lower() not in MODES:
            problem = f"Invalid response mode: {mode.decode('latin-1')!r}"
            self._result = Problem("Runtime.InvalidResponseModeHeader", problem)
            return b"400 Bad Request", error_body("InvalidFunctionResponseMode", problem), JSON
        if kind == b"error" or request.header(b"lambda-runtime-function-error-type") is not None:
            self._result = problem_of(request)
            return ACCEPTED
        if len(request.body) > self._limit:
            problem = f"Exceeded maximum allowed payload size ({self._limit} bytes)."
            text = f"Response payload size exceeded maximum allowed payload size ({self._limit} bytes)."
            self._result = Problem(RESPONSE_TOO_LARGE, text)
            return b"413 Request Entity Too Large", error_body("RequestEntityTooLarge", problem), JSON
        self._result = Answer(request.body, content_type_of(request))
        return ACCEPTED

    def _headers(self, call: Call) -> bytes:
        """The header fields of an event; of what is empty there is none."""
        event = call.event
        origin = decode_origin(event.origin) if event.type == EVENT_TYPE and event.origin else self._plain
        trace = header_of(event.traceparent) or header_of(new_traceparent())
        deadline = int((time.time() + call.timeout) * 1000)
        fields = [
            # Exactly this: with parameters behind it, AWS's runtimes hand the handler raw bytes.
            f"Content-Type: {event.datacontenttype if self._shape is None else 'application/json'}",
            f"Lambda-Runtime-Aws-Request-Id: {call.request_id}",
            f"Lambda-Runtime-Deadline-Ms: {deadline}",
            f"Lambda-Runtime-Invoked-Function-Arn: {origin.function_arn}",
            f"Lambda-Runtime-Trace-Id: {trace}",
        ]
        if origin.client_context:
            fields.append(f"Lambda-Runtime-Client-Context: {_one_line(origin.client_context)}")
        if origin.tenant_id:
            fields.append(f"Lambda-Runtime-Aws-Tenant-Id: {origin.tenant_id}")
        return "".join(f"{field}\r\n" for field in fields).encode("utf-8", "replace")

    def _look_at_child(self) -> None:
        """A child ended. Between two invocations nobody else looks."""
        if not self._busy and self._child.has_ended():
            self._child.end_like_it()


def _one_line(json: str) -> str:
    """JSON without line breaks, which a header field cannot have."""
    return msgspec.json.format(json, indent=-1)
