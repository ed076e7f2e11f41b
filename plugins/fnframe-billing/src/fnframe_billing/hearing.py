"""What billing hears of each invocation, and where it may stop or hold one. Only what is needed is registered, and
takes all that its hook has to tell, which saves picking from it: each hook is called for every invocation."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from fnframe import hookimpl

if TYPE_CHECKING:
    from fnframe import Function, Outcome, Report
    from fnframe.hookspecs import Refusal
    from fnframe.lifespan import RunningApp

    from .budgets import Budgets
    from .writer import Writer


def register(running: RunningApp, budgets: Budgets, writer: Writer, *, hold: bool) -> None:
    """Hear what runs; let budgets refuse it if any may, and replies wait if they shall."""
    if budgets.accounts:  # First: what is written was counted.
        running.register(Counted(budgets))
    running.register(Reports(writer, every=not running.durable))
    if budgets.refuses:
        running.register(Gate(budgets))
    if hold:
        running.register(Hold(writer))


class Counted:
    """Lets budgets count every invocation."""

    def __init__(self, budgets: Budgets) -> None:
        self._hear = budgets.hear

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        self._hear(report)


class Reports:
    """Hears every invocation. Those that somebody waits for are written from here, and where an engine ends with this
    process, all; of the others, engines keep the reports that count."""

    def __init__(self, writer: Writer, *, every: bool) -> None:
        self._hear = writer.hear
        self._every = every

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        if self._every or report.invocation_type == "synchronous":
            self._hear(report)


class Gate:
    """Asks budgets before an invocation begins."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    @hookimpl
    def fnframe_admit(self, function: Function, tenant: str | None) -> Refusal | None:
        return self._budgets.refusal(function, tenant)


class Hold:
    """Holds replies until they are written."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @hookimpl
    def fnframe_before_reply(self) -> Awaitable[None]:
        return self._writer.written()
