"""What an environment's reply means: Lambda's error types and texts, and the figures of the report."""

from __future__ import annotations

import datetime as dt
import time

from ..environment.invocation import Ended, Invocation, Rejected
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

    def outcome(self, invocation: Invocation, method: MemoryMethod) -> Outcome:
        """The outcome of an invocation that reached an environment."""
        reply = invocation.reply
        if type(reply) is Result:
            usage = reply.usage
            duration, peak_kb = usage.duration_ns / 1e6, usage.peak_kb or None
            report = self._report(invocation, SUCCESS, duration, peak_kb, usage.cpu_us, method)
            return Success(reply.payload, report, reply.content_type)
        if type(reply) is Raised:
            usage = reply.usage
            duration, peak_kb = usage.duration_ns / 1e6, usage.peak_kb or None
            report = self._report(invocation, reply.error_type, duration, peak_kb, usage.cpu_us, method)
            kind: Kind = "rejected" if reply.rejected else "failed"
            return Failure(kind, reply.error_type, reply.message, report, reply.stack_trace, body=reply.body)
        if type(reply) is Ended:
            return self._ended(invocation, reply, method)
        assert type(reply) is Rejected
        return self.rejected(invocation, THROTTLED, reply.problem, retry_after=1.0)

    def _ended(self, invocation: Invocation, ended: Ended, method: MemoryMethod) -> Failure:
        error_type, problem = _ending(ended, invocation.function)
        duration = (invocation.finished - (invocation.started or invocation.finished)) * 1000
        if error_type == TIMED_OUT and invocation.started:
            duration = invocation.function.timeout * 1000
        if ended.peak_kb is None:
            method = "unavailable"
        elif ended.cpu_us is None:
            method = "sampled"
        report = self._report(invocation, error_type, duration, ended.peak_kb, ended.cpu_us, method)
        return Failure("ended", error_type, f"RequestId: {invocation.request_id} Error: {problem}", report)

    def rejected(
        self, invocation: Invocation, error_type: str, message: str, *, retry_after: float | None = None
    ) -> Failure:
        """The outcome of an invocation that never ran."""
        report = self._report(invocation, error_type, 0.0, None, None, "unavailable")
        return Failure("rejected", error_type, message, report, retry_after=retry_after)

    def _report(
        self, invocation: Invocation, outcome: str, duration: float, peak_kb: int | None, cpu_us: int | None,
        method: MemoryMethod,
    ) -> Report:  # fmt: skip
        if invocation.sampled and method != "unavailable":
            method = "sampled"
        event, function, environment = invocation.event, invocation.function, invocation.environment
        now = time.monotonic()
        started = invocation.started or invocation.finished or now
        latest = invocation.finished - duration / 1000
        if started > latest > 0:  # It had waited in the environment's socket, and began before this host knew.
            started = latest
        init = invocation.init or 0.0
        queued = started - invocation.accepted - init
        # In the order of its fields: by keyword, a Struct of this size takes ten times as long.
        return Report(
            invocation.request_id,
            function.title,
            invocation.trigger,
            invocation.invocation_type,
            invocation.attempt,
            outcome,
            dt.datetime.fromtimestamp(time.time() - now + started, dt.UTC),
            queued * 1000 if queued > 0.0 else 0.0,
            init * 1000 if init else None,
            duration,
            function.memory,
            None if peak_kb is None else peak_kb / 1024,
            method,
            None if cpu_us is None else cpu_us / 1000,
            environment.id if environment is not None else "",
            event.id,
            None if event.traceparent is None else _trace_id(event.traceparent),
            invocation.tenant,
            function.tags,
            function.ephemeral_storage,
            len(event.data),
            function.provisioned_concurrency > 0 and not init,
            self._node,
            function.version,
        )


def _ending(ended: Ended, function: Function) -> tuple[str, str]:
    """Error type and Lambda's text for an environment that ended during an invocation."""
    if ended.reason == "timeout":
        return TIMED_OUT, f"Task timed out after {function.timeout:.2f} seconds"
    if ended.reason == "init":
        return TIMED_OUT, f"Task timed out after {ended.init_timeout:.2f} seconds"
    if ended.reason == "cancelled":
        return CANCELLED, "cancelled by its caller, or by the end of its app"
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


def _trace_id(traceparent: str) -> str | None:
    return traceparent.split("-")[1] if traceparent.count("-") >= 3 else None
