"""The last 4 KB of an invocation's log, for callers who ask for them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from fnframe import Failure
from fnframe.log_lines import JsonLines, TextLines

if TYPE_CHECKING:
    from fnframe import Outcome

LONGEST = 4096

_wanted: dict[str, bytearray] = {}
"""What was written so far, by request id: only of those whose caller asked."""


def want(request_id: str) -> None:
    """Keep what this request writes until `take` is called."""
    _wanted[request_id] = bytearray()


def hear(request_id: str, data: bytes) -> None:
    """A request wrote something."""
    kept = _wanted.get(request_id)
    if kept is not None:
        kept += data
        del kept[:-LONGEST]


def drop(request_id: str) -> None:
    """Nobody asks any more."""
    _wanted.pop(request_id, None)


def take(outcome: Outcome, *, json: bool) -> bytes:
    """The tail of a request's log, START to REPORT, in base64."""
    report = outcome.report
    form = JsonLines() if json else TextLines()
    output = bytes(_wanted.pop(report.request_id, b""))
    if output and not output.endswith(b"\n"):
        output += b"\n"
    error = form.error(report, outcome) if isinstance(outcome, Failure) and not outcome.body else ""
    log = form.start(report.request_id, report.function, report.version).encode() + output
    log += (error + form.end(report, outcome)).encode()
    return base64.b64encode(log[-LONGEST:])
