"""What a running app tells of itself, kept for assertions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..event import Event
from ..function import Function
from ..hookspecs import hookimpl
from ..outcome import Failure, Outcome, Report


class Settled(NamedTuple):
    """An asynchronous event, or part of a batch, that came to its end; see `fnframe_event_settled`."""

    function: str
    event: Event
    outcome: Outcome
    attempts: int
    destination: str | None


class Heard:
    """A plugin object that keeps what observers are told, in the order in which it came.

    `reports`, `outcomes` (in the same order), `settled`, and the events that filters did not let through (`filtered`).
    """

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.outcomes: list[Outcome] = []
        self.settled: list[Settled] = []
        self.filtered: list[tuple[str, Event]] = []
        self._output: dict[str, bytes] = {}
        self._running: set[str] = set()

    @property
    def in_progress(self) -> int:
        """How many invocations began and were not reported."""
        return len(self._running)

    def of(self, function: str) -> list[Report]:
        """The reports of one function."""
        return [report for report in self.reports if report.function == function]

    def output_of(self, report: Report) -> str:
        """What an invocation wrote to standard output and error; nothing where it ran in the test's own process."""
        return self._output.get(report.request_id, b"").decode(errors="backslashreplace")

    def assert_outcomes(self, function: str, *outcomes: str) -> Sequence[Report]:
        """Fail unless the function's invocations came to exactly these, in this order; their reports.

        An outcome is `"success"` or the type of the error: `"ValueError"`, `"Sandbox.Timedout"`.
        """
        reports = self.of(function)
        found = tuple(report.outcome for report in reports)
        if found != outcomes:
            raise AssertionError(
                f"function {function!r}: expected the outcomes {_listed(outcomes)}, found {_listed(found)}\n{self}"
            )
        return reports

    def assert_settled(self, function: str, outcome: str, *, attempts: int | None = None, count: int = 1) -> None:
        """Fail unless so many of the function's events came to their end, each with this outcome (and attempts)."""
        of_function = [settled for settled in self.settled if settled.function == function]
        ends = [(each.outcome.report.outcome, each.attempts) for each in of_function]
        wrong = [end for end in ends if end[0] != outcome or attempts not in (None, end[1])]
        if wrong or len(ends) != count:
            wanted = outcome if attempts is None else f"{outcome} after {attempts} attempts"
            raise AssertionError(
                f"function {function!r}: expected {count} events that end as {wanted}, found "
                f"{_listed([f'{end} after {number} attempts' for end, number in ends])}\n{self}"
            )

    def __str__(self) -> str:
        """Every report in one line, and of each failure its message."""
        lines = []
        for report, outcome in zip(self.reports, self.outcomes, strict=True):
            told = f": {outcome.message}" if isinstance(outcome, Failure) else ""
            lines.append(
                f"  {report.function} ({report.trigger}, attempt {report.attempt}): {report.outcome} in "
                f"{report.duration_ms:.1f} ms{told}"
            )
        return "\n".join(lines) or "  nothing was invoked"

    @hookimpl
    def fnframe_invocation_started(self, request_id: str) -> None:
        self._running.add(request_id)

    @hookimpl
    def fnframe_invocation_output(self, request_id: str, data: bytes) -> None:
        self._output[request_id] = self._output.get(request_id, b"") + data

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        self._running.discard(report.request_id)
        self.reports.append(report)
        self.outcomes.append(outcome)

    @hookimpl
    def fnframe_event_settled(
        self, function: Function, event: Event, outcome: Outcome, attempts: int, destination: str | None
    ) -> None:
        self.settled.append(Settled(function.name, event, outcome, attempts, destination))

    @hookimpl
    def fnframe_event_filtered(self, function: Function, event: Event) -> None:
        self.filtered.append((function.name, event))


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) or "none"
