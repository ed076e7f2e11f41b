"""24 hours compressed: 2,000,000 invocations over 20 functions that time out, crash, exhaust memory and leave children.

In each of 20 stages the app reloads under load; after it the app goes quiet until all environments were ended as idle,
and what this process and all that comes from it hold is counted. From the second count to the last nothing may grow;
every outcome must be the one asked for. Environments are fewer than functions: now and then one must make room for
another function's.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio

from ..apps.lifecycle import FUNCTIONS, app
from .held import folders, give_back, grown, held, mark_descendants, marked, print_row

IN_FLIGHT = 16
ENVIRONMENTS = 10
BUSY = 6
"""So many functions get nine of ten invocations."""
IDLE_TIMEOUT = 0.5
RELOAD_AFTER = 0.2
"""Seconds from the beginning of a stage."""

# What a handler is asked to do, how often in 10,000, and the outcome that its report must name.
ASKED = [
    ("echo", 9560, "success"),
    ("print", 200, "success"),
    ("raise", 100, "ValueError"),
    ("spin", 5, "Sandbox.Timedout"),
    ("sleep", 15, "Sandbox.Timedout"),
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


async def reload_in_the_midst(running: Any) -> None:
    """Take the code anew, as for a change, while invocations run: what runs ends in the old."""
    await anyio.sleep(RELOAD_AFTER)
    await running.reload()


async def quiet(root: Path) -> None:
    """Wait until the idle environments and their folders are gone, for at most 20 seconds."""
    with anyio.move_on_after(20):
        # What stays is the template and its one spare environment.
        while len(marked()) > 2 or folders(root):  # noqa: ASYNC110  others set no event
            await anyio.sleep(IDLE_TIMEOUT / 5)
    give_back()


async def main(invocations: int, stages: int, seed: int, root: Path) -> int:
    logging.getLogger("fnframe.functions").setLevel(logging.CRITICAL)  # The handlers fail since they are asked to.
    tally, counts = Tally(), []
    async with app.run(max_environments=ENVIRONMENTS, idle_timeout=IDLE_TIMEOUT) as running:
        await stage(running, FUNCTIONS, seed, tally)
        begin = time.monotonic()
        for number in range(stages):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reload_in_the_midst, running)
                await stage(running, invocations // stages, seed + number, tally)
            await quiet(root)
            counts.append(held(root))
            if number == 0:
                print_row(["invocations", "seconds", *counts[0]])
            done = (number + 1) * (invocations // stages)
            figures = [f"{value:.1f}".removesuffix(".0") for value in counts[-1].values()]
            print_row([f"{done:,}", f"{time.monotonic() - begin:.0f}", *figures])
    print()
    for outcome, count in tally.outcomes.most_common():
        print(f"{count:>9,}  {outcome}")
    problems = grown(counts[1], counts[-1])
    problems += [f"{text} ({count} times)" for text, count in tally.wrong.items()]
    left = marked()
    if left:
        problems.append(f"{len(left)} processes are left after the end")
    if os.listdir(root):
        problems.append(f"left after the end: {os.listdir(root)}")
    print("\n".join(["", *problems]) if problems else "\nflat: nothing grew, all outcomes as asked, nothing left")
    return 1 if problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.lifecycle", description=__doc__)
    parser.add_argument("--invocations", type=int, default=2_000_000)
    parser.add_argument("--stages", type=int, default=20, help="after each of which all is counted; 3 at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    arguments = parser.parse_args()
    mark_descendants()
    with tempfile.TemporaryDirectory(prefix="lifecycle-") as folder:
        tempfile.tempdir = folder
        given = (arguments.invocations, arguments.stages, arguments.seed, Path(folder))
        status = anyio.run(main, *given, backend=arguments.backend)
    sys.exit(status)
