"""The log of an app: what functions print, and START, END and REPORT of each invocation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, TextIO

from ..hookspecs import hookimpl
from ..log_lines import JsonLines, TextLines
from ..outcome import Failure

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
        self._form = JsonLines() if form == "json" else TextLines()
        self._output = OutputLines()
        self._started: set[str] = set()
        self.lost: OSError | ValueError | None = None
        """Why log lines were lost, if they were."""

    @hookimpl
    def fnframe_invocation_started(self, request_id: str, function: Function) -> None:
        self._started.add(request_id)
        self._write(self._form.start(request_id, function.title, function.version))

    @hookimpl
    def fnframe_invocation_output(self, request_id: str, function: Function, data: bytes) -> None:
        lines = self._output.add(request_id, data)
        self._write("".join(self._form.line(request_id, function.title, line) for line in lines))

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        request_id, form = report.request_id, self._form
        if request_id not in self._started:
            if isinstance(outcome, Failure):
                self._write(form.rejected(report, outcome))
            return
        self._started.discard(request_id)
        rest = [form.line(request_id, report.function, line) for line in self._output.rest(request_id)]
        # A runtime of its own has told of its error itself.
        error = form.error(report, outcome) if isinstance(outcome, Failure) and not outcome.body else ""
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


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
