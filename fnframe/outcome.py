"""What an invocation came to, and what it used."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

from .errors import FunctionError
from .event import JSON, decode_json

InvocationType = Literal["synchronous", "asynchronous", "polled"]
MemoryMethod = Literal["peak-rss-reset", "high-water", "sampled", "unavailable"]

Kind = Literal["rejected", "failed", "ended"]

SUCCESS = "success"
FILTERED = "filtered"
"""In the report of an event that its trigger's filter did not let through."""
THROTTLED = "TooManyRequestsException"
TIMED_OUT = "Sandbox.Timedout"
OUT_OF_MEMORY = "Runtime.OutOfMemory"
EXITED = "Runtime.ExitError"
CANCELLED = "Invocation.Cancelled"
"""fnframe's own: Lambda has no word for a caller who goes away, since there the invocation runs on."""
REFUSED = "Invocation.Refused"
"""A plugin refused it, and it is of no use to try again; where it may be tried again, it was throttled."""
SERVICE_FAILED = "ServiceException"
"""fnframe's own code, or a plugin's, raised while the event was handled."""
INVALID_EVENT = "Runtime.UnmarshalError"
INVALID_RESULT = "Runtime.MarshalError"
REQUEST_TOO_LARGE = "RequestEntityTooLargeException"
RESPONSE_TOO_LARGE = "Function.ResponseSizeTooLarge"


class Report(msgspec.Struct, frozen=True, gc=False):
    """What one invocation used: measured figures, or None where nothing was measured; see docs/measurements.md.

    Times are in milliseconds, memory in MB (2**20 bytes). `duration_ms` is wall time from the moment the
    environment had the event until its answer was there; `queued_ms` is the wait before it, without
    `init_duration_ms`, which is there when this invocation waited for a cold start: from the wish for an
    environment until its start functions had run. `max_memory_used_mb` is the peak of resident memory, what the
    app's own import brought included; `memory_method` says how it was measured: of the environment's own process
    exactly, or `sampled` where its children had a part in it. `cpu_ms` is processor time, user
    and system, of the environment's process and its finished children, since its invocation before: reading the
    event is in it, and so is what the function's threads did meanwhile. `event_bytes` is the size of the event's data.
    `provisioned` is true where the function has provisioned concurrency and this invocation waited for no cold start.
    """

    request_id: str
    function: str
    trigger: str
    invocation_type: InvocationType
    attempt: int
    outcome: str
    """`"success"`, or the error type."""
    started_at: dt.datetime
    queued_ms: float
    init_duration_ms: float | None
    duration_ms: float
    memory_size_mb: int
    max_memory_used_mb: float | None
    memory_method: MemoryMethod
    cpu_ms: float | None
    environment_id: str
    event_id: str
    trace_id: str | None = None
    tenant: str | None = None
    tags: dict[str, str] = {}
    ephemeral_storage_mb: int = 512
    event_bytes: int = 0
    provisioned: bool = False
    node: str = ""
    version: str = "$LATEST"


class Success(msgspec.Struct, frozen=True):
    """The function returned. `payload` is its encoded return value."""

    payload: bytes
    report: Report
    content_type: str = JSON

    def value(self) -> Any:
        """The return value as plain Python values: JSON decoded, any other content as bytes."""
        return decode_json(self.payload) if self.content_type == JSON else self.payload

    def unwrap(self) -> Any:
        """The same as `value()`: a success has nothing to raise."""
        return self.value()


class Failure(msgspec.Struct, frozen=True):
    """The function did not return.

    `kind` says which "no" it was: `rejected` (the handler never ran), `failed` (it ran and raised, or its
    result was refused), `ended` (it was stopped, or its process went away). Error types and texts are Lambda's.
    """

    kind: Kind
    error_type: str
    message: str
    report: Report
    stack_trace: list[str] = []
    retry_after: float | None = None
    """Seconds after which trying again makes sense, where that is known."""
    body: bytes = b""
    """The error payload as the function's own runtime made it, where that was another than fnframe's."""

    def unwrap(self) -> Any:
        """Raises `FunctionError`, which carries this failure."""
        raise FunctionError(self)

    def payload(self) -> dict[str, Any]:
        """The failure as Lambda's error payload."""
        if self.body:
            return decode_json(self.body)  # type: ignore[no-any-return]
        if self.error_type == RESPONSE_TOO_LARGE:  # The platform's own word, not the runtime's.
            return {"errorMessage": self.message, "errorType": self.error_type}
        if self.kind == "failed":
            return {
                "errorMessage": self.message,
                "errorType": self.error_type,
                "requestId": self.report.request_id,
                "stackTrace": self.stack_trace,
            }
        # Lambda tells the caller how the process ended, and the report why.
        error_type = EXITED if self.error_type == OUT_OF_MEMORY else self.error_type
        return {"errorType": error_type, "errorMessage": self.message}


Outcome = Success | Failure
