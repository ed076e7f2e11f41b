"""How figures and tables look in a terminal: readable in 80 columns, plain where nobody looks at colours."""

from __future__ import annotations

import errno
import math
import os
import textwrap
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..outcome import OUT_OF_MEMORY, TIMED_OUT, Failure
from .standard_output import OutputLost, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..function import Function, Manifest
    from ..outcome import Outcome, Report

UNBOUNDED = 1_000_000
"""Columns of what is no terminal."""

NARROW = 72
"""Columns: in fewer, what stands side by side else stands below each other."""

_WORDS = {"rejected": "rejected", "failed": "failed", "ended": "exited"}


class Terminal(Console):
    """Standard output, with colours if it is a terminal and NO_COLOR is not set.

    When it cannot be written to, `lost` is told and nothing is printed from then on; without `lost`, `print` raises
    `OutputLost`.
    """

    def __init__(self, lost: Callable[[OutputLost], None] | None = None) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        self._lost = lost

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            with written():
                super().print(*objects, **options)
        except OutputLost as error:
            if self._lost is None:
                raise
            self.quiet = True
            self._lost(error)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def terminal(lost: Callable[[OutputLost], None] | None = None) -> Terminal:
    """A `Terminal` for lines and tables: where it is none, nothing is cut or wrapped, unless COLUMNS asks for it."""
    console = Terminal(lost)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = UNBOUNDED
    return console


def aligned(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines with aligned columns; those numbered in `right` to the right. Wide characters count as two."""
    table = [list(row) for row in rows]
    widths = [max(cell_len(row[column]) for row in table) for column in range(len(table[0]))]
    to_right = set(right)

    def padded(cell: str, column: int) -> str:
        padding = " " * (widths[column] - cell_len(cell))
        return padding + cell if column in to_right else cell + padding

    return ["  ".join(padded(cell, column) for column, cell in enumerate(row)).rstrip() for row in table]


def duration(milliseconds: float) -> str:
    """`3.2 ms`, `112 ms`, `4.51 s`."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def seconds(value: float) -> str:
    """`10 s`, `0.5 s`."""
    return f"{value:g} s"


def counted(number: int, noun: str) -> str:
    """`1 event`, `2 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def memory(peak: float | None, limit: int) -> str:
    """`41/256 MB`: the peak, rounded up, of the limit."""
    return f"{'?' if peak is None else math.ceil(peak)}/{limit} MB"


def word_of(failure: Failure) -> str:
    """Which "no" it was."""
    return {TIMED_OUT: "timeout", OUT_OF_MEMORY: "memory"}.get(failure.error_type) or _WORDS[failure.kind]


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """A text as indented lines that are no longer than so many columns."""
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)


def invocation_line(report: Report, outcome: Outcome, subject: str, clock: str = "", *, width: int = UNBOUNDED) -> Text:
    """One invocation in one line: what it came to, what it used, and whose it was; in two, where the console has few
    columns."""
    word = word_of(outcome) if isinstance(outcome, Failure) else "ok"
    init = report.init_duration_ms
    figures = [
        f"{word:<8}",
        f"{duration(report.duration_ms):>7}",
        f"{memory(report.max_memory_used_mb, report.memory_size_mb):>11}",
        f"{'warm' if init is None else f'cold {duration(init)}':<12}",
    ]
    is_narrow = width < NARROW
    line = Text()
    if clock:
        line.append(f"{clock} ", style="dim")
    line.append(word if is_narrow else figures[0], style="green" if word == "ok" else "bold red")
    if not is_narrow:
        line.append("  ".join(["", *figures[1:]]))
    line.append(f"  {report.function}", style="bold")
    if subject:
        line.append(f"  {printable(subject)}")
    if is_narrow:
        line.append("\n  " + "  ".join(figure.strip() for figure in figures[1:]), style="dim")
    return line


def printable(text: str) -> str:
    """Text of somebody else's, a file's name say, which shall not move the cursor or begin a line of its own."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def problem_of(failure: Failure) -> str:
    """Error type and message in one line, without the request's id."""
    message = " ".join(failure.message.removeprefix(f"RequestId: {failure.report.request_id} Error: ").split())
    return printable(f"{failure.error_type}: {message}")


def limit_of(failure: Failure, function: Function) -> str | None:
    """Which parameter to raise, where a limit of the function's own ended it."""
    # A start function that takes too long has a time of its own, and the handler had none yet.
    if failure.error_type == TIMED_OUT and failure.report.duration_ms:
        return f"out of time: raise `timeout=` of {function.name}, now {function.timeout:g} (seconds)"
    if failure.error_type == OUT_OF_MEMORY:
        return f"out of memory: raise `memory=` of {function.name}, now {function.memory} (MB)"
    return None


def functions_table(manifest: Manifest, where: Iterable[str]) -> list[tuple[str, list[str]]]:
    """A line for each function, headed, and the lines of its triggers. Memory: the baseline, of the limit."""
    rows = [["function", "memory", "timeout", "retries", "isolation", "where"]]
    for function, place in zip(manifest.functions, where, strict=True):
        is_limited = function.isolation == "process"
        limits = [
            memory(manifest.baseline_of(function.name), function.memory) if is_limited else "-",
            seconds(function.timeout),
            str(function.retries),
            function.isolation,
        ]
        rows.append([function.name, *limits, place])
    head, *lines = aligned(rows, right=(1, 2, 3))
    triggers = [[spec.text for spec in function.triggers] or ["no trigger"] for function in manifest.functions]
    return [(head, []), *zip(lines, triggers, strict=True)]
