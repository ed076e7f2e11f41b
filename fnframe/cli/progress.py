"""What `--until-idle` hears and tells: a line for each invocation, and a summary at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..batch_event import origin_of
from ..hookspecs import hookimpl
from ..log_lines import billed_ms
from ..outcome import Failure, Success
from .listener import Listener
from .output import aligned, counted, duration, invocation_line, memory, printable, problem_of, wrapped

if TYPE_CHECKING:
    from rich.console import Console

    from ..batch_event import Origin
    from ..event import Event
    from ..function import Function
    from ..outcome import Outcome, Report

LONGEST_LIST = 20
"""Failures that the summary tells one by one."""


class Used(msgspec.Struct):
    """What the invocations of one function used."""

    limit: int
    durations: list[float] = []
    failed: int = 0
    peak: float | None = None
    mb_ms: int = 0

    def add(self, report: Report, outcome: Outcome) -> None:
        self.durations.append(report.duration_ms)
        self.failed += isinstance(outcome, Failure)
        if report.max_memory_used_mb is not None:
            self.peak = max(self.peak or 0.0, report.max_memory_used_mb)
        self.mb_ms += report.memory_size_mb * billed_ms(report)


class GivenUp(msgspec.Struct, frozen=True):
    """An event that failed for good, or `weight` records of a stream together; `kept` says where they are now."""

    function: str
    subject: str
    problem: str
    attempts: int
    kept: str
    weight: int


class Progress(Listener):
    """Prints while things happen, and keeps what the summary needs."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._used: dict[str, Used] = {}
        self._given_up: list[GivenUp] = []
        self._succeeded = 0
        self._failed = 0
        self.lost = False
        """Whether an event failed for good and has no destination that kept it."""
        self.durable = True
        """Whether dead letters outlive this process."""
        self.filtered = 0
        """How many events a trigger's filter did not let through."""

    @property
    def events(self) -> int:
        """How many events, messages and records reached their end."""
        return self._succeeded + self._failed

    @property
    def has_begun(self) -> bool:
        """Whether anything ran, or runs."""
        return bool(self._used or self._started)

    def _tell(self, report: Report, outcome: Outcome, event: Event | None) -> None:
        self._used.setdefault(report.function, Used(report.memory_size_mb)).add(report, outcome)
        subject = _subject(event) if event is not None else report.event_id
        if isinstance(outcome, Failure):
            subject += f": {problem_of(outcome)}"
        line = invocation_line(report, outcome, subject, width=self._console.width)
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    @hookimpl
    def fnframe_event_filtered(self) -> None:
        self.filtered += 1

    @hookimpl
    def fnframe_event_settled(
        self, function: Function, event: Event, outcome: Outcome, attempts: int, destination: str | None
    ) -> None:
        batch = origin_of(event) if outcome.report.invocation_type == "polled" else None
        weight = 1 if batch is None else len(batch.items)
        if isinstance(outcome, Success):
            self._succeeded += weight
            return
        weight = max(1, weight)  # The end of a window without records is one that failed, too.
        kept = f"kept in {destination}" if destination else self._left(function, batch)
        self._given_up.append(GivenUp(function.name, _subject(event), problem_of(outcome), attempts, kept, weight))
        self._failed += weight
        self.lost |= destination is None

    def _left(self, function: Function, batch: Origin | None) -> str:
        """Where a failure is that no destination has."""
        if batch is not None and batch.partition >= 0:
            return "kept nowhere"
        queue = function.name if batch is None else batch.source
        return f"a dead letter of {queue}" + (": see `fnframe dlq`" if self.durable else ", lost with this process")

    def summary(self) -> None:
        """Print what happened to the events that reached their end, and what the invocations used."""
        failed = f", {self._failed:,} failed" if self._failed else ""
        filtered = f"; {self.filtered:,} filtered, and not run" if self.filtered else ""
        line = f"\n{counted(self.events, 'event')}: {self._succeeded:,} succeeded{failed}{filtered}"
        self._console.print(line, style="bold")
        for event in self._given_up[:LONGEST_LIST]:
            self._print_given_up(event)
        if len(self._given_up) > LONGEST_LIST:
            self._console.print(f"  and {len(self._given_up) - LONGEST_LIST:,} more that failed")
        self._console.print()
        for number, line in enumerate(self._usage_table()):
            self._console.print(line, style="bold" if number == 0 else None, soft_wrap=True)

    def _print_given_up(self, event: GivenUp) -> None:
        records = f"{event.weight:,} records, " if event.weight > 1 else ""
        tries = counted(event.attempts, "attempt")
        line = f"{printable(event.subject)} ({event.function}, {records}{tries}), {event.kept}"
        for text, indent, style in ((line, "  ", "red"), (event.problem, "    ", None)):
            for each in wrapped(text, self._console.width, indent):
                self._console.print(each, style=style, soft_wrap=True)

    def _usage_table(self) -> list[str]:
        rows = [["function", "invocations", "failed", "median", "longest", "peak memory", "GB-s"]]
        for name, used in sorted(self._used.items()):
            ordered = sorted(used.durations)
            rows.append(
                [
                    name,
                    f"{len(ordered):,}",
                    f"{used.failed:,}",
                    duration(ordered[len(ordered) // 2]),
                    duration(ordered[-1]),
                    memory(used.peak, used.limit),
                    f"{used.mb_ms / 1_024_000:.3f}",
                ]
            )
        return aligned(rows, right=range(1, 7))


def _subject(event: Event) -> str:
    return event.subject or event.id
