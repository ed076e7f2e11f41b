"""Hosts that are killed with SIGKILL at random moments, while events flow through queues, a stream and functions.

Two hosts share an engine in a file; one of them is killed every now and then, and another takes its place. Handlers
fail now and then, and some end their environment. Afterwards every event that was accepted must have ended in success
or among the dead letters; in each group and key the first successes must be in order; and nothing may have succeeded
twice in one life of a host, since nothing but an end is a reason to repeat what was done (unless the machine was too
slow, and a lease ran out under a host that lived).
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from fnframe import Event
from fnframe.dispatch.acceptance import queue_name
from fnframe.dispatch.asynchronous import Envelope, encode_envelope
from fnframe.engine.protocol import Message, Record
from fnframe.event import encode_json, new_id, now
from fnframe.runtime.open_engine import open_engine

if TYPE_CHECKING:
    from fnframe.engine.protocol import Engine

APP = Path(__file__).parents[1] / "apps" / "kills.py"
HOST = """
import sys, anyio, anyio.to_thread
from fnframe.runtime.running import run_target
async def main():
    settings = {"engine": sys.argv[2], "lease": float(sys.argv[3]), "max_environments": 3, "retry_base": 0.05}
    async with run_target(sys.argv[1], settings=settings):
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)  # Until the soak itself has ended.
anyio.run(main)
"""
KEYS = 20
QUIET = 90.0
"""Seconds after the last success within which another must come, or the rest is lost."""


class Hosts:
    """Processes that run the app; `kill` ends one of them without a word and starts another."""

    def __init__(self, engine: str, lease: float, log: Path, count: int) -> None:
        self._command = [sys.executable, "-c", HOST, str(APP), engine, str(lease)]
        self._environment = {**os.environ, "KILLS_LOG": str(log)}
        self._told = (log.parent / "told").open("ab")
        self._hosts = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
        )

    def kill(self, number: int) -> None:
        """Kill a host as soon as it is ready, and start another."""
        host = self._hosts[number]
        assert host.stdout is not None
        host.stdout.readline()
        host.send_signal(signal.SIGKILL)
        host.communicate()
        self._hosts[number] = self._start()

    def end(self) -> None:
        for host in self._hosts:
            host.kill()
            host.communicate()
        self._told.close()


class Sender:
    """Sends events and notes what was accepted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.accepted: dict[str, list[str]] = {"orders": [], "clicks": [], "work": []}

    async def send(self, number: int) -> None:
        key, name = f"k{number % KEYS}", f"k{number % KEYS}-{number:06}"
        body = encode_json(name)
        kind = ("orders", "clicks", "work")[number % 3]
        if kind == "orders":
            await self._engine.queue("orders").send([Message(name, body, key)])
        elif kind == "clicks":
            await self._engine.stream("clicks").publish([Record(key, body, name)])
        else:
            event = Event(id=name, source="soak", type="soak", time=now(), data=body)
            envelope = encode_envelope(Envelope(event, new_id(), "direct"))
            await self._engine.queue(queue_name("work")).send([Message(f"soak {name}", envelope)])
        self.accepted[kind].append(name)


async def soak(folder: Path, kills: int, events: int, lease: float, seed: int) -> list[str]:
    """What was wrong; the figures are printed."""
    url, log = f"sqlite:///{folder}/engine.db", folder / "log"
    log.touch()
    dice = random.Random(seed)
    async with open_engine(str(APP), settings={"engine": url}) as engine:
        sender, hosts = Sender(engine), Hosts(url, lease, log, 2)
        began = time.monotonic()
        try:
            async with anyio.create_task_group() as tasks:
                killed = anyio.Event()
                tasks.start_soon(_send_all, sender, events, killed)
                for number in range(kills):
                    await anyio.to_thread.run_sync(hosts.kill, number % 2)
                    await anyio.sleep(dice.uniform(0, 0.4))
                killed.set()
            print(f"{kills} kills in {time.monotonic() - began:.0f} s", flush=True)
            await _settled(sender, engine, log)
        finally:
            hosts.end()
        dead = {queue: await _dead(engine, queue) for queue in ("orders", "sent", queue_name("work"))}
    return _judge(sender.accepted, log, dead)


async def _send_all(sender: Sender, events: int, killed: anyio.Event) -> None:
    """Spread the events over the time of the kills; what is left then goes at once."""
    for number in range(0, events, 20):
        async with anyio.create_task_group() as tasks:
            for each in range(number, min(number + 20, events)):
                tasks.start_soon(sender.send, each)
        with anyio.move_on_after(0.05):
            await killed.wait()


async def _settled(sender: Sender, engine: Engine, log: Path) -> None:
    """Return when everything is done, or when nothing happens any more."""
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        await anyio.sleep(0.2)
        done = len(_lines(log))
        if done != size:
            size, since = done, time.monotonic()
            continue
        totals = [(await engine.queue(queue).statistics()).total for queue in ("orders", "sent", queue_name("work"))]
        if not any(totals) and set(sender.accepted["clicks"]) <= {name for _, _, name in _lines(log)}:
            return


async def _dead(engine: Engine, queue: str) -> set[str]:
    return {letter.message.id.removeprefix("soak ") for letter in await engine.queue(queue).dead_letters(100_000)}


def _lines(log: Path) -> list[tuple[str, str, str]]:
    """Function, life of a host, and name, for each success in order."""
    lines = log.read_text().splitlines()
    return [(words[0], words[1], name) for words in map(str.split, lines) for name in words[2:]]


def _judge(accepted: dict[str, list[str]], log: Path, dead: dict[str, set[str]]) -> list[str]:
    done = _lines(log)
    problems = []
    expected = {**accepted, "sent": [name for function, _, name in done if function == "work"]}
    for function, names in expected.items():
        mine = [(life, name) for each, life, name in done if each == function]
        counts = Counter(name for _, name in mine)
        buried = dead.get(function, set()) | dead.get(queue_name(function), set())
        lost = [name for name in set(names) if name not in counts and name not in buried]
        twice = [each for each, count in Counter(mine).items() if count > 1]
        again = sum(count - 1 for count in counts.values())
        print(f"{function}: {len(names):,} accepted, {again:,} repeated, {len(buried & set(names)):,} dead")
        if lost:
            problems.append(f"{function}: {len(lost)} lost, {sorted(lost)[:3]}")
        if twice and not _lapsed(log):
            problems.append(f"{function}: {len(twice)} done twice in one life, {sorted(twice)[:3]}")
        if function in ("orders", "clicks"):
            problems += _disorder(function, list(dict.fromkeys(name for _, name in mine)))
    return problems


def _lapsed(log: Path) -> bool:
    """Whether a host lived and lost what it had, since it could not say so in time."""
    told = (log.parent / "told").read_text()
    return "ran out" in told or "went to another consumer" in told


def _disorder(function: str, names: list[str]) -> list[str]:
    """Keys whose first successes are not in the order of acceptance."""
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(name.partition("-")[0], []).append(name)
    return [f"{function}: {key} is out of order" for key, mine in by_key.items() if mine != sorted(mine)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--lease", type=float, default=5.0, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fnframe-kills-") as folder:
        problems = anyio.run(soak, Path(folder), arguments.kills, arguments.events, arguments.lease, arguments.seed)
    for problem in problems:
        print(problem)
    print("nothing lost, nothing out of order" if not problems else f"{len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
