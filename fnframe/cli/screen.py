"""What `fnframe dev` shows: the app at start, then each invocation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ..hookspecs import hookimpl
from ..outcome import Failure
from .errors import shown
from .listener import Listener
from .output import NARROW, aligned, counted, invocation_line, problem_of, seconds, wrapped
from .survival import nothing_survives

if TYPE_CHECKING:
    from rich.console import Console

    from ..event import Event
    from ..function import Function
    from ..outcome import Outcome, Report
    from ..runtime.running import Running


class Screen(Listener):
    """Prints the app, what happens to it, and each invocation with its errors in full."""

    def __init__(self, console: Console, directory: Path) -> None:
        super().__init__(console)
        self.directory = directory

    def show(self, running: Running) -> None:
        """Print the functions and where their events come from."""
        manifest = running.manifest
        self._console.print(f"{manifest.app}: {counted(len(manifest.functions), 'function')}", style="bold")
        for line in self._functions(running):
            self._console.print(line, soft_wrap=True)
        for line in nothing_survives(running):
            self._console.print(line, style="dim", soft_wrap=True)
        self._console.print(f"watching {shown(str(self.directory))}; Ctrl-C ends", style="dim", soft_wrap=True)

    def _functions(self, running: Running) -> list[str]:
        rows, lines = [], []
        for function in running.manifest.functions:
            said = [text for name, text in running.started if name == function.name] or ["no trigger"]
            limits = [f"{function.memory} MB", seconds(function.timeout)]
            rows.append([f"  {function.name}", *limits, said[0]])
            rows += [["", "", "", text] for text in said[1:]]
            lines.append("  ".join([f"  {function.name}", *limits]))
            lines += [line for text in said for line in wrapped(text, self._console.width, "    ")]
        return lines if self._console.width < NARROW else aligned(rows, right=(1, 2))

    def note(self, text: str) -> None:
        """Print something that happened to the app itself."""
        self._console.print(f"{_clock()} {text}", style="cyan", soft_wrap=True)

    def problem(self, message: str, consequence: str) -> None:
        """Print an error in the app's files, and what it means for what is served."""
        self._console.print(Text.from_ansi(message), soft_wrap=True)
        self._console.print(f"{_clock()} {consequence}", style="yellow", soft_wrap=True)

    @hookimpl
    def fnframe_event_filtered(self, function: Function, event: Event) -> None:
        line = f"{_clock()} filtered  {function.name}  {event.subject or event.id}"
        self._console.print(line, style="dim", no_wrap=True, overflow="ellipsis")

    def _tell(self, report: Report, outcome: Outcome, event: Event | None) -> None:
        subject = (event and event.subject) or ""
        line = invocation_line(report, outcome, subject, _clock(), width=self._console.width)
        self._console.print(line, no_wrap=True, overflow="ellipsis")
        if isinstance(outcome, Failure):
            self._console.print(f"  {problem_of(outcome)}", style="red", soft_wrap=True)
            for entry in outcome.stack_trace:
                self._console.print(entry.rstrip().replace(f"{Path.cwd()}/", ""), style="dim", soft_wrap=True)


def _clock() -> str:
    return time.strftime("%H:%M:%S")
