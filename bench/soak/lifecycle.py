"""200,000 invocations over 20 functions that time out, crash, exhaust memory, leave children and go idle.

After each of 20 stages the app goes quiet until all environments were ended as idle, and what this process
holds is counted. From the second count to the last nothing may grow; every outcome must be the one asked for.
Environments are fewer than functions: now and then one must make room for another function's.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio

from ..apps.lifecycle import FUNCTIONS, app

STAGES = 20
IN_FLIGHT = 16
ENVIRONMENTS = 10
BUSY = 6
"""So many functions get nine of ten invocations."""
IDLE_TIMEOUT = 0.5
RSS_GROWTH_MB = 8.0
"""What the second count may grow by to the last: fragments and caches, in all 200,000 invocations."""

# What a handler is asked to do, how often in 10,000, and the outcome that its report must name.
ASKED = [
    ("echo", 9540, "success"),
    ("print", 200, "success"),
    ("raise", 100, "ValueError"),
    ("spin", 20, "Sandbox.Timedout"),
    ("sleep", 20, "Sandbox.Timedout"),
    ("exit", 30, "Runtime.ExitError"),
    ("leave", 30, "Runtime.ExitError"),
    ("crash", 30, "Runtime.ExitError"),
    ("allocate", 20, "Runtime.OutOfMemory"),
    ("children", 10, "success"),
]
CANCELLED = 100
"""Of 10,000 callers, how many give up after a millisecond."""


class Tally:
    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def note(self, asked: str, expected: str, found: str) -> None:
        self.outcomes[found] += 1
        if found != expected:
            self.wrong[f"{asked}: expected {expected}, found {found}"] += 1


async def invoke(running: Any, choice: random.Random, tally: Tally) -> None:
    asked, _, expected = choice.choices(ASKED, [weight for _, weight, _ in ASKED])[0]
    patience = 0.001 if choice.random() < CANCELLED / 10_000 else 60.0
    with anyio.move_on_after(patience) as scope:
        number = choice.randrange(BUSY if choice.random() < 0.9 else FUNCTIONS)
        outcome = await running.invoke(f"act{number}", {"do": asked})
        tally.note(asked, expected, outcome.report.outcome)
    if scope.cancelled_caught:
        gave_up = "cancelled by the caller"
        tally.note(asked, gave_up, gave_up if patience < 60 else "no answer in 60 s")


async def stage(running: Any, count: int, seed: int, tally: Tally) -> None:
    left = count

    async def caller(number: int) -> None:
        nonlocal left
        choice = random.Random(f"{seed} {number}")
        while left > 0:
            left -= 1
            await invoke(running, choice, tally)

    async with anyio.create_task_group() as tasks:
        for number in range(IN_FLIGHT):
            tasks.start_soon(caller, number)


async def quiet(fewest: int, root: Path) -> None:
    """Wait until the idle environments and their folders are gone, for at most 20 seconds."""
    with anyio.move_on_after(20):
        while len(descendants(os.getpid())) > fewest or folders(root):  # noqa: ASYNC110  others set no event
            await anyio.sleep(IDLE_TIMEOUT / 5)
    gc.collect()


def held(root: Path) -> dict[str, float]:
    """What this process holds: memory in MB, descriptors, threads, descendants and their memory, files."""
    below = descendants(os.getpid())
    return {
        "host MB": resident_mb(os.getpid()),
        "template MB": sum(resident_mb(pid) for pid in below),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "template's": sum(descriptors(pid) for pid in below),
        "threads": len(os.listdir("/proc/self/task")),
        "processes": len(below),
        "folders": folders(root),
    }


def folders(root: Path) -> int:
    return sum(1 for _ in root.glob("fnframe-*/slot-*"))


def descendants(pid: int) -> list[int]:
    found = []
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    except FileNotFoundError:
        pass
    return found


def resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except FileNotFoundError:
        return 0.0


def descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return 0


def print_row(cells: list[str]) -> None:
    print("| " + " | ".join(cell.rjust(11) for cell in cells) + " |", flush=True)


def grown(first: dict[str, float], last: dict[str, float]) -> list[str]:
    allowed = {"host MB": RSS_GROWTH_MB, "template MB": RSS_GROWTH_MB}
    return [
        f"{name} grew from {first[name]:.1f} to {last[name]:.1f}"
        for name in first
        if last[name] > first[name] + allowed.get(name, 0)
    ]


async def main(invocations: int, seed: int, root: Path) -> int:
    logging.getLogger("fnframe.functions").setLevel(logging.CRITICAL)  # The handlers fail since they are asked to.
    tally, counts = Tally(), []
    async with app.run(max_environments=ENVIRONMENTS, idle_timeout=IDLE_TIMEOUT) as running:
        await stage(running, FUNCTIONS, seed, tally)
        begin = time.monotonic()
        for number in range(STAGES):
            await stage(running, invocations // STAGES, seed + number, tally)
            # What stays is the template and its one spare environment.
            await quiet(fewest=2, root=root)
            counts.append(held(root))
            if number == 0:
                print_row(["invocations", "seconds", *counts[0]])
            done = (number + 1) * (invocations // STAGES)
            figures = [f"{value:.1f}".removesuffix(".0") for value in counts[-1].values()]
            print_row([f"{done:,}", f"{time.monotonic() - begin:.0f}", *figures])
    print()
    for outcome, count in tally.outcomes.most_common():
        print(f"{count:>9,}  {outcome}")
    problems = grown(counts[1], counts[-1])
    problems += [f"{text} ({count} times)" for text, count in tally.wrong.items()]
    left = descendants(os.getpid())
    if left:
        problems.append(f"{len(left)} processes are left after the end")
    print("\n".join(["", *problems]) if problems else "\nflat: nothing grew, all outcomes as asked, nothing left")
    return 1 if problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.lifecycle", description=__doc__)
    parser.add_argument("--invocations", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    arguments = parser.parse_args()
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="lifecycle-"))
    tempfile.tempdir = str(folder)
    sys.exit(anyio.run(main, arguments.invocations, arguments.seed, folder, backend=arguments.backend))
