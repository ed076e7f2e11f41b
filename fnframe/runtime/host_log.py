"""What an embedded app tells: through the standard library's logging, which the host program configures."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..hookspecs import hookimpl
from ..outcome import Failure, Success
from .logs import OutputLines

if TYPE_CHECKING:
    from ..event import Event
    from ..function import Function
    from ..outcome import Outcome, Report

logger = logging.getLogger("fnframe.functions")


class HostLog:
    """A plugin object that logs under `fnframe.functions`.

    What handlers print at INFO, each failed invocation with its stack at WARNING (a rejected one at INFO: under load
    there are many), and at ERROR each asynchronous event that retries could not help. Records carry `request_id` or
    `event_id`, and `function`.
    """

    def __init__(self) -> None:
        self._output = OutputLines()

    @hookimpl
    def fnframe_invocation_output(self, request_id: str, function: Function, data: bytes) -> None:
        for line in self._output.add(request_id, data):
            self._tell_line(request_id, function.name, line)

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        request_id, name = report.request_id, report.function
        for line in self._output.rest(request_id):
            self._tell_line(request_id, name, line)
        if isinstance(outcome, Success):
            return
        level = logging.INFO if outcome.kind == "rejected" else logging.WARNING
        stack = "".join(["\nTraceback (most recent call last):\n", *outcome.stack_trace]).rstrip()
        text = f"{outcome.error_type}: {outcome.message}{stack if outcome.stack_trace else ''}"
        logger.log(level, "%s: %s", name, text, extra={"request_id": request_id, "function": name})

    @hookimpl
    def fnframe_event_settled(
        self, function: Function, event: Event, outcome: Outcome, attempts: int, destination: str | None
    ) -> None:
        if isinstance(outcome, Failure):
            logger.error(
                "%s: event %s failed after %d attempt(s): %s; %s",
                function.name,
                event.id,
                attempts,
                outcome.error_type,
                f"its record went to {destination}" if destination else "no destination has its record",
                extra={"event_id": event.id, "function": function.name},
            )

    def _tell_line(self, request_id: str, name: str, line: str) -> None:
        logger.info("%s: %s", name, line, extra={"request_id": request_id, "function": name})
