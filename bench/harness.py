"""The driver of every script: cases in rotated rounds, each in a fresh process; goals first, then figures.

A script registers cases with `@case(...)`, lists its `Goal`s and ends with `main(__spec__, GOALS, columns)`.
Started plainly it is the driver: each round runs each case once, as `python -m bench.SCRIPT --case NAME`, and
begins one case further on than the round before, so that a slow moment of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results"
MARK = "@@"
"""Before the line of a case's output that holds its figures."""
CASE_LIMIT = 180.0
"""Seconds that one case may take in one round."""

Figures = dict[str, float]
CASES: dict[str, Callable[[], Figures]] = {}
ENDINGS: list[Callable[[], object]] = []
"""What a case wants done when it is over, whatever came of it."""


def case(name: str) -> Callable[[Callable[[], Figures]], Callable[[], Figures]]:
    """Register a case: a function that measures and returns its figures."""

    def register(run: Callable[[], Figures]) -> Callable[[], Figures]:
        CASES[name] = run
        return run

    return register


@dataclass(frozen=True)
class Goal:
    """A figure to reach: of `case` alone, or, with `against`, as the ratio to that case in the same round."""

    case: str
    field: str
    against: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def text(self) -> str:
        return f"{self.case} / {self.against}" if self.against else f"{self.case}: {self.field}"

    def bound(self) -> str:
        sign, value = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{sign} {show(value)}{self._suffix()}"

    def values(self, rounds: dict[str, list[Figures | None]]) -> list[float]:
        """What each round gave; rounds in which a case failed are left out."""
        mine = rounds.get(self.case, [])
        if self.against is None:
            return [figures[self.field] for figures in mine if figures and self.field in figures]
        base = rounds.get(self.against, [])
        pairs = zip(mine, base, strict=False)
        return [ours[self.field] / theirs[self.field] for ours, theirs in pairs if ours and theirs]

    def verdict(self, rounds: dict[str, list[Figures | None]]) -> dict[str, Any]:
        values = self.values(rounds)
        row = {
            "met": "not measured",
            "reached": "-",
            "to reach": self.bound(),
            "range": "-",
            "what": self.text(),
        }
        if values:
            reached = middle(self.field, values)
            met = reached >= self.at_least if self.at_least is not None else reached <= (self.at_most or 0.0)
            row["reached"] = show(reached) + self._suffix()
            row["range"] = f"{show(min(values))}..{show(max(values))}"
            row["met"] = "yes" if met else "NO"
        return row

    def _suffix(self) -> str:
        return " x" if self.against else f" {self.unit}".rstrip()


def middle(field: str, values: list[float]) -> float:
    """The median over the rounds; of a worst value, the worst."""
    return max(values) if field.endswith("_max") else statistics.median(values)


def main(spec: Any, goals: list[Goal], columns: dict[str, str], rounds: int = 5) -> None:
    """`columns`: field name to heading, in order; the first also shows its range over the rounds."""
    name = spec.name
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", default="", help="parts of the names of cases, comma-separated")
    parser.add_argument("--case", help="run this case once, in this process")
    arguments = parser.parse_args()
    if arguments.case:
        _run_here(arguments.case)
    wanted = [name for name in CASES if any(part in name for part in arguments.only.split(","))]
    measured = _run_rounds(name, wanted, arguments.rounds)
    within = [goal for goal in goals if {goal.case, goal.against or goal.case} <= set(wanted)]
    verdicts = [goal.verdict(measured) for goal in within]
    machine = f"CPython {platform.python_version()}, {os.cpu_count()} cores"
    title = f"{name.removeprefix('bench.')} ({arguments.rounds} rounds, {machine})"
    print(f"\n## {title}\n")
    if verdicts:
        print_verdicts(verdicts)
    _print_figures(measured, columns)
    RESULTS.mkdir(exist_ok=True)
    kept = {"title": title, "verdicts": verdicts, "rounds": measured}
    (RESULTS / f"{name.rpartition('.')[2]}.json").write_text(json.dumps(kept, indent=1))


def _run_here(name: str) -> None:
    """The inside of a case's process. It ends at once: pools and threads that the case left are dropped."""
    status = 1
    try:
        print(MARK + json.dumps(CASES[name]()), flush=True)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        for end in reversed(ENDINGS):
            end()
        sys.stderr.flush()
        os._exit(status)


def _run_rounds(script: str, names: list[str], rounds: int) -> dict[str, list[Figures | None]]:
    measured: dict[str, list[Figures | None]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures, problem = _run_case(script, name)
            measured[name].append(figures)
            if problem:
                print(f"round {number + 1}, {name}: {problem}", file=sys.stderr, flush=True)
    return measured


def _run_case(script: str, name: str) -> tuple[Figures | None, str]:
    """One case in a process group of its own; its figures, or what went wrong."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", script, "--case", name]
        process = subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True)
        try:
            process.wait(CASE_LIMIT)
        except subprocess.TimeoutExpired:
            return None, f"took more than {CASE_LIMIT:.0f} s"
        finally:
            stop(process, signal.SIGKILL)  # With what the case left in its group.
        output.seek(0)
        errors.seek(0)
        for line in output:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK)), ""
        return None, (errors.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1]


def stop(process: subprocess.Popen[Any], first: signal.Signals = signal.SIGTERM) -> None:
    """End a process that leads its own group, and the group."""
    for send in (first, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, send)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def print_verdicts(verdicts: list[dict[str, Any]]) -> None:
    _print_table(list(verdicts[0]), [list(row.values()) for row in verdicts])


def _print_figures(measured: dict[str, list[Figures | None]], columns: dict[str, str]) -> None:
    leading, *others = columns.values()
    rows = []
    for name, rounds in measured.items():
        good = [figures for figures in rounds if figures]
        values = {field: [figures[field] for figures in good if field in figures] for field in columns}
        cells = [show(middle(field, found)) if found else "-" for field, found in values.items()]
        first = next(iter(values.values()))
        spread = f"{show(min(first))}..{show(max(first))}" if first else "-" if good else "failed"
        rows.append([name, cells[0], spread, *cells[1:]])
    _print_table(["case", leading, "range", *others], rows)


def _print_table(headings: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    rule = ["-" * width for width in widths]
    for row in (headings, rule, *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print(flush=True)


def show(value: float | None) -> str:
    """Three significant figures."""
    if value is None:
        return "-"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
