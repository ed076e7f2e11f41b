"""What `dev` and `--until-idle` both hear, and tell in the same way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from rich.text import Text

from ..hookspecs import hookimpl
from ..outcome import Failure
from ..runtime.logs import OutputLines
from .output import limit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from ..event import Event
    from ..function import Function
    from ..outcome import Outcome, Report


class Listener(ABC):
    """A plugin object that prints what functions write, each invocation, and which limit ended it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._output = OutputLines()
        self._started: dict[str, tuple[Function, Event]] = {}

    @property
    def in_progress(self) -> int:
        """How many invocations have begun and not ended."""
        return len(self._started)

    @hookimpl
    def fnframe_invocation_started(self, request_id: str, function: Function, event: Event) -> None:
        self._started[request_id] = function, event

    @hookimpl
    def fnframe_invocation_output(self, request_id: str, function: Function, data: bytes) -> None:
        self._print_output(function.name, self._output.add(request_id, data))

    @hookimpl
    def fnframe_invocation_reported(self, report: Report, outcome: Outcome) -> None:
        self._print_output(report.function, self._output.rest(report.request_id))
        function, event = self._started.pop(report.request_id, (None, None))
        self._tell(report, outcome, event)
        limit = limit_of(outcome, function) if isinstance(outcome, Failure) and function is not None else None
        if limit is not None:
            self._console.print(f"  {limit}", style="yellow", soft_wrap=True)

    @abstractmethod
    def _tell(self, report: Report, outcome: Outcome, event: Event | None) -> None:
        """Print an invocation; `event` is None where it never began."""

    def _print_output(self, function: str, lines: Iterable[str]) -> None:
        """What a function wrote, in its own colours and apart from what we write."""
        for line in lines:
            text = Text.assemble((f"  {function} | ", "dim"), Text.from_ansi(line))
            text.rstrip()
            self._console.print(text, soft_wrap=True)
