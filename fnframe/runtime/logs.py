"""START, END and REPORT: the log lines of Lambda, in its text form or its JSON form."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any, Literal, TextIO

from ..event import encode_json
from ..hookspecs import hookimpl
from ..outcome import SUCCESS, TIMED_OUT, Failure, Success

if TYPE_CHECKING:
    from ..function import Function
    from ..outcome import Outcome, Report

LogFormat = Literal["text", "json"]

LONGEST_LINE = 256 * 1024
"""Bytes after which output without a newline becomes a line all the same; Lambda's bound for a log event."""

logger = logging.getLogger("fnframe.logs")


class OutputLines:
    """Whole lines of what functions write, which arrives in pieces and for several requests at once."""

    def __init__(self) -> None:
        self._pieces: dict[str, bytes] = {}

    def add(self, request_id: str, data: bytes) -> list[str]:
        """The lines that are complete now, without their ends. Bytes that are no UTF-8 are replaced.

        Output that belongs to no request (an empty id) comes from several environments: nothing is held back.
        """
        *lines, rest = (self._pieces.pop(request_id, b"") + data).split(b"\n")
        if rest and (not request_id or len(rest) >= LONGEST_LINE):
            lines.append(rest)
        elif rest:
            self._pieces[request_id] = rest
        return [_text(line) for line in lines]

    def rest(self, request_id: str) -> list[str]:
        """The line that a request left without an end, if it did."""
        rest = self._pieces.pop(request_id, b"")
        return [_text(rest)] if rest else []


class LogLines:
    """A plugin object that writes the log of each invocation to a stream: what it printed, and what it used.

    The text form is Lambda's. In the JSON form every record names its function besides, since the functions
    of an app share one log here, and what a function prints becomes a record that names its request. A stream
    that cannot be written to is reported once and changes nothing.
    """

    def __init__(self, stream: TextIO, form: LogFormat) -> None:
        self._stream = stream
        self._form = _Json() if form == "json" else _Text()
        self._output = OutputLines()
        self._started: set[str] = set()
        self.lost: OSError | ValueError | None = None
        """Why log lines were lost, if they were."""

    @hookimpl
    def fnframe_invocation_started(self, request_id: str, function: Function) -> None:
        self._started.add(request_id)
        self._write(self._form.start(request_id, function.name))

    @hookimpl
    def fnframe_invocation_output(self, request_id: str, function: Function, data: bytes) -> None:
        lines = self._output.add(request_id, data)
        self._write("".join(self._form.line(request_id, function.name, line) for line in lines))

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        request_id, form = report.request_id, self._form
        if request_id not in self._started:
            if isinstance(outcome, Failure):
                self._write(form.rejected(report, outcome))
            return
        self._started.discard(request_id)
        rest = [form.line(request_id, report.function, line) for line in self._output.rest(request_id)]
        error = form.error(report, outcome) if isinstance(outcome, Failure) else ""
        self._write("".join([*rest, error, form.end(report, outcome)]))

    def _write(self, text: str) -> None:
        if not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError) as error:
            # A full disk, a reader that went away: invocations go on.
            if self.lost is None:
                self.lost = error
                logger.warning("log lines are lost: %s", error)


class _Text:
    def start(self, request_id: str, function: str) -> str:
        return f"START RequestId: {request_id} Version: $LATEST\n"

    def line(self, request_id: str, function: str, line: str) -> str:
        return f"{line}\n"

    def error(self, report: Report, failure: Failure) -> str:
        if failure.error_type == TIMED_OUT:
            problem = failure.message.rpartition("Error: ")[2]
            return f"{timestamp()} {report.request_id} {problem}\n\n"
        if failure.kind == "ended":
            return f"{failure.message}\n{failure.error_type}\n"
        stack = ["Traceback (most recent call last):\n", *failure.stack_trace] if failure.stack_trace else []
        return f"[ERROR] {failure.error_type}: {failure.message}\n{''.join(stack)}"

    def end(self, report: Report, outcome: Outcome) -> str:
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
        # Lambda logs nothing for it; an operator wants to know.
        reason = f"Error Type: {failure.error_type}\t{failure.message}"
        return f"REJECTED RequestId: {report.request_id}\t{reason}\n"


class _Json:
    def start(self, request_id: str, function: str) -> str:
        return _record("platform.start", request_id, function, {"version": "$LATEST"})

    def line(self, request_id: str, function: str, line: str) -> str:
        return _record("function", request_id, function, {"message": line})

    def error(self, report: Report, failure: Failure) -> str:
        rest: dict[str, Any] = {
            "level": "ERROR",
            "errorType": failure.error_type,
            "errorMessage": failure.message,
        }
        if failure.stack_trace:
            rest["stackTrace"] = failure.stack_trace
        return _record("function", report.request_id, report.function, rest)

    def end(self, report: Report, outcome: Outcome) -> str:
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


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
