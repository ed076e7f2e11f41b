"""The lines that tell of an invocation: renderings of its report, in Lambda's text form and in its JSON form."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from .event import encode_json
from .outcome import SUCCESS, TIMED_OUT, Failure, Success

if TYPE_CHECKING:
    from .outcome import Outcome, Report


class TextLines:
    """Lambda's text form."""

    def start(self, request_id: str, function: str, version: str = "$LATEST") -> str:
        """The line of an invocation that begins."""
        return f"START RequestId: {request_id} Version: {version}\n"

    def line(self, request_id: str, function: str, line: str) -> str:
        """A line that the function wrote."""
        return f"{line}\n"

    def error(self, report: Report, failure: Failure) -> str:
        """Why it failed: its error and stack, or how its environment ended."""
        if failure.error_type == TIMED_OUT:
            problem = failure.message.rpartition("Error: ")[2]
            return f"{timestamp()} {report.request_id} {problem}\n\n"
        if failure.kind == "ended":
            return f"{failure.message}\n{failure.error_type}\n"
        stack = ["Traceback (most recent call last):\n", *failure.stack_trace] if failure.stack_trace else []
        return f"[ERROR] {failure.error_type}: {failure.message}\n{''.join(stack)}"

    def end(self, report: Report, outcome: Outcome) -> str:
        """The lines of an invocation's end, with its figures: END and REPORT."""
        peak = report.max_memory_used_mb
        fields = [
            f"REPORT RequestId: {report.request_id}",
            f"Duration: {report.duration_ms:.2f} ms",
            f"Billed Duration: {billed_ms(report)} ms",
            f"Memory Size: {report.memory_size_mb} MB",
            "Max Memory Used: not measured" if peak is None else f"Max Memory Used: {math.ceil(peak)} MB",
        ]
        if report.init_duration_ms is not None:
            fields.append(f"Init Duration: {report.init_duration_ms:.2f} ms")
        # An exception that the runtime handled has no status in Lambda's text form.
        if report.outcome == TIMED_OUT:
            fields.append("Status: timeout")
        elif isinstance(outcome, Failure) and outcome.kind == "ended":
            fields += ["Status: error", f"Error Type: {report.outcome}"]
        return f"END RequestId: {report.request_id}\n" + "\t".join([*fields, "\n"])

    def rejected(self, report: Report, failure: Failure) -> str:
        """The line of one that never ran."""
        # Lambda logs nothing for it; an operator wants to know.
        reason = f"Error Type: {failure.error_type}\t{failure.message}"
        return f"REJECTED RequestId: {report.request_id}\t{reason}\n"


class JsonLines:
    """Lambda's JSON form; every record names its function besides."""

    def start(self, request_id: str, function: str, version: str = "$LATEST") -> str:
        """The record of an invocation that begins: `platform.start`."""
        return _record("platform.start", request_id, function, {"version": version})

    def line(self, request_id: str, function: str, line: str) -> str:
        """The record of a line that the function wrote."""
        return _record("function", request_id, function, {"message": line})

    def error(self, report: Report, failure: Failure) -> str:
        """The record of why it failed, with the stack."""
        rest: dict[str, Any] = {
            "level": "ERROR",
            "errorType": failure.error_type,
            "errorMessage": failure.message,
        }
        if failure.stack_trace:
            rest["stackTrace"] = failure.stack_trace
        return _record("function", report.request_id, report.function, rest)

    def end(self, report: Report, outcome: Outcome) -> str:
        """The records of an invocation's end, with its figures: `platform.runtimeDone` and `platform.report`."""
        status: dict[str, Any] = {"status": _status(report)}
        if report.outcome != SUCCESS:
            status["errorType"] = report.outcome
        if report.tenant is not None:
            status["tenantId"] = report.tenant
        produced = {"producedBytes": len(outcome.payload)} if isinstance(outcome, Success) else {}
        done = {"metrics": {"durationMs": _ms(report.duration_ms), **produced}, **status}
        peak = report.max_memory_used_mb
        metrics = {
            "durationMs": _ms(report.duration_ms),
            "billedDurationMs": billed_ms(report),
            "memorySizeMB": report.memory_size_mb,
            "maxMemoryUsedMB": None if peak is None else math.ceil(peak),
        }
        if report.init_duration_ms is not None:
            metrics["initDurationMs"] = _ms(report.init_duration_ms)
        place = report.request_id, report.function
        return _record("platform.runtimeDone", *place, done) + _record(
            "platform.report", *place, {"metrics": metrics, **status}
        )

    def rejected(self, report: Report, failure: Failure) -> str:
        """The record of one that never ran: fnframe's own, since Lambda logs nothing for it."""
        reason = {"errorType": failure.error_type, "errorMessage": failure.message}
        return _record("fnframe.rejected", report.request_id, report.function, reason)


def billed_ms(report: Report) -> int:
    """Whole milliseconds that Lambda bills: duration and init together, rounded up once."""
    # The sum of two binary fractions may lie a hair over a whole number that it is.
    return math.ceil(round(report.duration_ms + (report.init_duration_ms or 0.0), 6))


_second = (0, "")
"""The second of the last record, and its text."""


def timestamp() -> str:
    """The time now as Lambda's logs write it: RFC 3339 in UTC, with milliseconds.

    Every record has one, and making it anew would take longer than all else of the record: within a second only the
    milliseconds change.
    """
    global _second
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    known, text = _second
    if seconds != known:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _second = seconds, text
    return f"{text}.{milliseconds:03d}Z"


def _record(kind: str, request_id: str, function: str, rest: dict[str, Any]) -> str:
    record = {"requestId": request_id, "functionName": function, **rest}
    return encode_json({"time": timestamp(), "type": kind, "record": record}).decode() + "\n"


def _status(report: Report) -> str:
    if report.outcome == SUCCESS:
        return "success"
    return "timeout" if report.outcome == TIMED_OUT else "error"


def _ms(value: float) -> float:
    return round(value, 2)
