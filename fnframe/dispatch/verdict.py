"""What an environment's reply means: Lambda's error types and texts, and the figures of the report."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from ..environment.call import Call, Ended, Rejected
from ..environment.wire import Exited, Raised, Result
from ..function import Function
from ..outcome import (
    CANCELLED,
    EXITED,
    OUT_OF_MEMORY,
    SUCCESS,
    THROTTLED,
    TIMED_OUT,
    Failure,
    Kind,
    MemoryMethod,
    Outcome,
    Report,
    Success,
)

if TYPE_CHECKING:
    from .invocation import Invocation

# Go's names of signals, which Lambda prints.
SIGNALS = {
    1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap", 6: "aborted",
    7: "bus error", 8: "floating point exception", 9: "killed", 10: "user defined signal 1",
    11: "segmentation fault", 12: "user defined signal 2", 13: "broken pipe", 14: "alarm clock", 15: "terminated",
    16: "stack fault", 24: "CPU time limit exceeded", 25: "file size limit exceeded", 26: "virtual timer expired",
    27: "profiling timer expired", 29: "I/O possible", 30: "power failure", 31: "bad system call",
}  # fmt: skip


class Judge:
    """Makes outcomes. `node` is this host's name in every report."""

    def __init__(self, node: str) -> None:
        self._node = node

    def outcome(self, function: Function, invocation: Invocation, call: Call, method: MemoryMethod) -> Outcome:
        """The outcome of an invocation that reached an environment."""
        reply = call.reply
        if type(reply) is Result:
            return Success(
                reply.payload, self._measured(function, invocation, call, reply, SUCCESS, method), reply.content_type
            )
        if type(reply) is Raised:
            report = self._measured(function, invocation, call, reply, reply.error_type, method)
            kind: Kind = "rejected" if reply.rejected else "failed"
            return Failure(kind, reply.error_type, reply.message, report, reply.stack_trace)
        if type(reply) is Ended:
            return self._ended(function, invocation, call, reply, method)
        assert type(reply) is Rejected
        return self.rejected(function, invocation, THROTTLED, f"Rate Exceeded. {reply.problem}", retry_after=1.0)

    def _measured(
        self,
        function: Function,
        invocation: Invocation,
        call: Call,
        reply: Result | Raised,
        outcome: str,
        method: MemoryMethod,
    ) -> Report:
        usage = reply.usage
        environment_id = call.environment.id if call.environment is not None else ""
        return self._report(
            function, invocation, outcome, call.started or call.finished, call.init or 0.0, usage.duration_ns / 1e6,
            usage.peak_kb or None, usage.cpu_us, method, environment_id,
        )  # fmt: skip

    def _ended(
        self, function: Function, invocation: Invocation, call: Call, ended: Ended, method: MemoryMethod
    ) -> Failure:
        error_type, problem = _ending(ended, function)
        started = call.started or call.finished
        duration = (call.finished - started) * 1000
        if error_type == TIMED_OUT and call.started:
            duration = function.timeout * 1000
        if ended.peak_kb is None:
            method = "unavailable"
        elif ended.cpu_us is None:
            method = "sampled"
        environment_id = call.environment.id if call.environment is not None else ""
        report = self._report(
            function, invocation, error_type, started, call.init or 0.0, duration,
            ended.peak_kb, ended.cpu_us, method, environment_id,
        )  # fmt: skip
        return Failure("ended", error_type, f"RequestId: {invocation.request_id} Error: {problem}", report)

    def rejected(
        self,
        function: Function,
        invocation: Invocation,
        error_type: str,
        message: str,
        *,
        retry_after: float | None = None,
    ) -> Failure:
        """The outcome of an invocation that never ran."""
        report = self._report(
            function, invocation, error_type, time.monotonic(), 0.0, 0.0, None, None, "unavailable", ""
        )
        return Failure("rejected", error_type, message, report, retry_after=retry_after)

    def _report(
        self, function: Function, invocation: Invocation, outcome: str, started: float, init: float, duration: float,
        peak_kb: int | None, cpu_us: int | None, method: MemoryMethod, environment_id: str,
    ) -> Report:  # fmt: skip
        event = invocation.event
        # In the order of its fields: by keyword, a Struct of this size takes ten times as long.
        return Report(
            invocation.request_id,
            function.name,
            invocation.trigger,
            invocation.invocation_type,
            invocation.attempt,
            outcome,
            dt.datetime.fromtimestamp(time.time() - time.monotonic() + started, dt.UTC),
            max(0.0, started - invocation.accepted - init) * 1000,
            init * 1000 if init else None,
            duration,
            function.memory,
            None if peak_kb is None else peak_kb / 1024,
            method,
            None if cpu_us is None else cpu_us / 1000,
            environment_id,
            event.id,
            _trace_id(event.traceparent),
            None,
            function.tags,
            self._node,
        )


def _ending(ended: Ended, function: Function) -> tuple[str, str]:
    """Error type and Lambda's text for an environment that ended during an invocation."""
    if ended.reason == "timeout":
        return TIMED_OUT, f"Task timed out after {function.timeout:.2f} seconds"
    if ended.reason == "init":
        return TIMED_OUT, "Task timed out after 10.00 seconds"
    if ended.reason == "cancelled":
        return CANCELLED, "cancelled by its caller"
    if ended.reason == "memory":
        return OUT_OF_MEMORY, "Runtime exited with error: signal: killed"
    over = ended.peak_kb is not None and ended.peak_kb > function.memory * 1024
    return OUT_OF_MEMORY if over and _killed(ended.exit) else EXITED, _exit_text(ended.exit)


def _killed(exit_: Exited | None) -> bool:
    return exit_ is not None and exit_.code == -9


def _exit_text(exit_: Exited | None) -> str:
    if exit_ is None:
        return "Runtime exited with error: its exit status is not known, since the template ended with it"
    if exit_.code == 0:
        return "Runtime exited without providing a reason"
    if exit_.code > 0:
        return f"Runtime exited with error: exit status {exit_.code}"
    signal = SIGNALS.get(-exit_.code, f"signal {-exit_.code}")
    return f"Runtime exited with error: signal: {signal}{' (core dumped)' if exit_.core_dumped else ''}"


def _trace_id(traceparent: str | None) -> str | None:
    return traceparent.split("-")[1] if traceparent and traceparent.count("-") >= 3 else None
