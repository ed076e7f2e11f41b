"""10,000 invocations that misbehave in every way there is, and a neighbour that behaves.

Each way must end as its own kind of outcome with Lambda's error type and text. The neighbour, a function of the same
app that is invoked all the while, must get its own answers, see only its own output, and find its process as it was
at first. Afterwards nothing may be left or have grown, and the pool must serve as fast as before.
"""

from __future__ import annotations

import argparse
import hashlib
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

from fnframe import Failure, Success, hookimpl

from ..apps.abuse import WAYS, Way, app
from .held import folders, give_back, grown, held, mark_descendants, marked, print_row

IN_FLIGHT = 8
NEIGHBOURS = 2
ENVIRONMENTS = 12
IDLE_TIMEOUT = 0.5
RATE_OVER = 500
"""Invocations over which that rate is taken, the best of five times."""


class Output:
    """A plugin that hears what each invocation prints."""

    def __init__(self) -> None:
        self._heard: dict[str, bytearray] = {}

    @hookimpl
    def fnframe_invocation_output(self, request_id: str, data: bytes) -> None:
        if request_id:
            self._heard.setdefault(request_id, bytearray()).extend(data)

    def take(self, request_id: str) -> bytes:
        return bytes(self._heard.pop(request_id, b""))


class Soak:
    def __init__(self, running: Any, output: Output) -> None:
        self._running = running
        self._output = output
        self.outcomes: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.answered = 0
        self._state: dict[str, Any] | None = None

    async def misbehave(self, names: list[str]) -> None:
        """Invoke all of these, `IN_FLIGHT` at once, beside the neighbour."""
        async with anyio.create_task_group() as neighbours:
            for number in range(NEIGHBOURS):
                neighbours.start_soon(self._behave, number)
            async with anyio.create_task_group() as callers:
                for _ in range(IN_FLIGHT):
                    callers.start_soon(self._call, names)
            neighbours.cancel_scope.cancel()

    async def _call(self, names: list[str]) -> None:
        while names:
            name = names.pop()
            outcome = await self._running.invoke(name)
            printed = self._output.take(outcome.report.request_id)
            self.outcomes[outcome.report.outcome] += 1
            problem = judged(WAYS[name], outcome, printed)
            if problem:
                self.wrong[f"{name}: {problem}"] += 1

    async def _behave(self, number: int) -> None:
        while True:
            word = f"{number} {self.answered}"
            outcome = await self._running.invoke("neighbour", word)
            printed = self._output.take(outcome.report.request_id).decode(errors="replace")
            self.answered += 1
            self._check(word, outcome, printed)
            await anyio.sleep(0.005)

    def _check(self, word: str, outcome: Any, printed: str) -> None:
        if not isinstance(outcome, Success):
            self.wrong[f"neighbour: {outcome.error_type}: {outcome.message}"] += 1
            return
        answer = outcome.value()
        self._state = self._state or answer["state"]
        if answer["word"] != word:
            self.wrong["neighbour: got another's answer"] += 1
        if printed != f"{word} said {word} warned {word} wrote\n":
            self.wrong[f"neighbour: its output was {printed[:200]!r}"] += 1
        for what, value in answer["state"].items():
            if value != self._state[what]:
                self.wrong[f"neighbour: {what} was {value}, at first {self._state[what]}"] += 1

    async def rate(self) -> float:
        """Invocations of the neighbour in a second."""
        best = 0.0
        for _ in range(5):
            begin = time.perf_counter()
            async with anyio.create_task_group() as callers:
                for _ in range(4):
                    callers.start_soon(self._serve)
            best = max(best, RATE_OVER / (time.perf_counter() - begin))
        return best

    async def _serve(self) -> None:
        for _ in range(RATE_OVER // 4):
            outcome = await self._running.invoke("neighbour", "again")
            self._output.take(outcome.report.request_id)


def judged(way: Way, outcome: Success | Failure, printed: bytes) -> str:
    """What is wrong with this outcome, if anything is."""
    found = outcome.report.outcome
    if isinstance(outcome, Failure):
        if (found, outcome.message[-len(way.text) :]) != (way.outcome, way.text):
            return f"expected {way.outcome} ({way.text}), found {found} ({outcome.message[-120:]})"
    elif way.outcome != found:
        return f"expected {way.outcome}, found {found}"
    elif outcome.value() not in (None, hashlib.sha256(printed).hexdigest()):
        return f"its {len(printed):,} bytes of output are not what it printed"
    return ""


def chosen(count: int, seed: int) -> list[str]:
    """So many names, each way as often as any other, shuffled."""
    names = (list(WAYS) * (count // len(WAYS) + 1))[:count]
    random.Random(seed).shuffle(names)
    return names


async def quiet(root: Path) -> dict[str, float]:
    """What is held when the idle environments and what they left are gone, or after 20 seconds."""
    with anyio.move_on_after(20):
        # What stays is the template and its one spare environment.
        while len(marked()) > 2 or folders(root):  # noqa: ASYNC110  others set no event
            await anyio.sleep(IDLE_TIMEOUT / 5)
    give_back()
    return held(root)


async def main(count: int, seed: int, slowest: float, start_method: str, root: Path) -> int:
    logging.getLogger("fnframe.functions").setLevel(logging.CRITICAL)  # The handlers fail since they are asked to.
    output = Output()
    settings = {"max_environments": ENVIRONMENTS, "idle_timeout": IDLE_TIMEOUT, "start_method": start_method}
    async with app.run(plugins=[output], **settings) as running:
        soak = Soak(running, output)
        await soak.misbehave(chosen(len(WAYS), seed))
        rate_before, before = await soak.rate(), await quiet(root)
        begin = time.monotonic()
        await soak.misbehave(chosen(count, seed))
        seconds = time.monotonic() - begin
        rate_after, after = await soak.rate(), await quiet(root)
    print(f"{count:,} misbehaved in {len(WAYS)} ways in {seconds:.0f} s, the neighbour answered {soak.answered:,}\n")
    for outcome, number in soak.outcomes.most_common():
        print(f"{number:>9,}  {outcome}")
    print()
    print_row(["", *before])
    for name, counts in (("before", before), ("after", after)):
        print_row([name, *(f"{value:.1f}".removesuffix(".0") for value in counts.values())])
    print(f"\nthe pool serves {rate_after:,.0f} invocations/s, before it were {rate_before:,.0f}")
    problems = grown(before, after) + [f"{text} ({number} times)" for text, number in soak.wrong.items()]
    if rate_after < slowest * rate_before:
        problems.append("the pool is slower than before")
    left = marked()
    if left:
        problems.append(f"{len(left)} processes are left after the end")
    if os.listdir(root):
        problems.append(f"left after the end: {os.listdir(root)}")
    print("\n".join(["", *problems]) if problems else "\nheld: each its own outcome, nothing grew, nothing left")
    return 1 if problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.abuse", description=__doc__)
    parser.add_argument("--invocations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slowest", type=float, default=0.7, help="of the rate before, what must be reached after")
    parser.add_argument("--start-method", choices=["fork", "spawn"], default="fork")
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    arguments = parser.parse_args()
    mark_descendants()
    with tempfile.TemporaryDirectory(prefix="abuse-") as folder:
        tempfile.tempdir = folder
        given = (arguments.invocations, arguments.seed, arguments.slowest, arguments.start_method, Path(folder))
        status = anyio.run(main, *given, backend=arguments.backend)
    sys.exit(status)
