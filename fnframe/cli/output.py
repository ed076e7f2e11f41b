"""How figures and tables look in a terminal: readable in 80 columns, plain where nobody looks at colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..outcome import OUT_OF_MEMORY, TIMED_OUT, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

    from ..function import Function
    from ..outcome import Outcome, Report

_WORDS = {"rejected": "rejected", "failed": "failed", "ended": "exited"}


def terminal() -> Console:
    """Standard output, with colours if it is a terminal and NO_COLOR is not set."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def aligned(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines with aligned columns; those numbered in `right` to the right."""
    table = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    to_right = set(right)
    return [
        "  ".join(
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


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


def invocation_line(report: Report, outcome: Outcome, subject: str, clock: str = "") -> Text:
    """One invocation in one line: what it came to, what it used, and whose it was."""
    from rich.text import Text

    word = word_of(outcome) if isinstance(outcome, Failure) else "ok"
    init = report.init_duration_ms
    figures = [
        f"{word:<8}",
        f"{duration(report.duration_ms):>7}",
        f"{memory(report.max_memory_used_mb, report.memory_size_mb):>11}",
        f"{'warm' if init is None else f'cold {duration(init)}':<12}",
    ]
    line = Text()
    if clock:
        line.append(f"{clock} ", style="dim")
    line.append(figures[0], style="green" if word == "ok" else "bold red")
    line.append("  ".join(["", *figures[1:]]))
    line.append(f"  {report.function}", style="bold")
    if subject:
        line.append(f"  {subject}")
    return line


def print_output(console: Console, function: str, lines: Iterable[str]) -> None:
    """What a function wrote, in its own colours and apart from what we write."""
    from rich.text import Text

    for line in lines:
        console.print(Text.assemble((f"  {function} | ", "dim"), Text.from_ansi(line)), soft_wrap=True)


def functions_table(functions: Iterable[Function], where: Iterable[str]) -> list[tuple[str, list[str]]]:
    """A line for each function, headed, and the lines of its triggers."""
    listed = list(functions)
    rows = [["function", "memory", "timeout", "retries", "isolation", "where"]]
    for function, place in zip(listed, where, strict=True):
        limits = [
            f"{function.memory} MB",
            seconds(function.timeout),
            str(function.retries),
            function.isolation,
        ]
        rows.append([function.name, *limits, place])
    head, *lines = aligned(rows, right=(1, 2, 3))
    triggers = [[spec.text for spec in function.triggers] or ["no trigger"] for function in listed]
    return [(head, []), *zip(lines, triggers, strict=True)]
