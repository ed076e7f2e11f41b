"""Hosts that are killed with SIGKILL at random moments, while events flow through schedules, files, queues, a stream
and functions.

Two hosts share an engine in a file; one of them is killed every now and then, and another takes its place. Files come
in deep trees, are renamed, rewritten and replaced (`storm.py`). Handlers fail now and then, and some end their
environment. Afterwards every event that was accepted must have ended in success or among the dead letters, each second
must have fired, and each file that lies there must have been told of as it is. In each group and key the first
successes must be in order. And nothing may have succeeded once more unless the host of the earlier success was killed:
nothing but an end is a reason to repeat what was done (unless the machine was too slow, and a lease ran out under a
host that lived).
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
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread
import msgspec
from fnframe_cron import Tick
from fnframe_files import ObjectCreated

from fnframe import Event
from fnframe.dispatch.acceptance import queue_name
from fnframe.dispatch.contents import contents_of
from fnframe.dispatch.queues.asynchronous import Envelope, encode_envelope
from fnframe.engine.protocol import Message, Record
from fnframe.event import encode_json, new_id, now
from fnframe.runtime.open_engine import open_engine

from .files import present
from .storm import Storm

if TYPE_CHECKING:
    from fnframe.engine.protocol import Engine

APP = Path(__file__).parents[1] / "apps" / "kills.py"
HOST = """
import os, sys, anyio, anyio.to_thread
from fnframe.runtime.run import run_target
os.environ["KILLS_HOST"] = str(os.getpid())
async def main():
    settings = {"engine": sys.argv[2], "lease": float(sys.argv[3]), "max_environments": 4, "retry_base": 0.05}
    async with run_target(sys.argv[1], settings=settings):
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)  # Until the soak itself has ended.
anyio.run(main)
"""
KEYS = 20
AT_ONCE = 20
SCHEDULES = ("free", "queue")
QUEUES = {
    "orders": "orders",
    "sent": "sent",
    "work": queue_name("work"),
    "ticks": queue_name("ticks"),
    "objects": queue_name("objects"),
}
"""The queue of each function that has one."""
ORDERED = ("orders", "clicks", "ticks")
QUIET = 90.0
"""Seconds after the last success within which another must come, or the rest is lost."""


class Hosts:
    """Processes that run the app; `kill` ends one of them without a word and starts another."""

    def __init__(self, engine: str, lease: float, folder: Path, count: int) -> None:
        self._command = [sys.executable, "-c", HOST, str(APP), engine, str(lease)]
        self._log = folder / "log"
        self._environment = {**os.environ, "KILLS_LOG": str(self._log), "KILLS_UPLOADS": str(folder / "uploads")}
        self._told = (folder / "told").open("ab")
        self._ready: set[int] = set()
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

    def wait(self, number: int = 0) -> subprocess.Popen[str]:
        """Return a host when it is ready."""
        host = self._hosts[number]
        if host.pid not in self._ready:
            assert host.stdout is not None
            host.stdout.readline()
            self._ready.add(host.pid)
        return host

    def kill(self, number: int) -> None:
        """Kill a host as soon as it is ready, and start another."""
        host = self.wait(number)
        host.send_signal(signal.SIGKILL)
        host.communicate()
        with self._log.open("a") as log:
            log.write(f"killed {host.pid}\n")
        self._hosts[number] = self._start()

    def end(self) -> None:
        for host in self._hosts:
            host.kill()
            host.communicate()
        self._told.close()


class Sender:
    """Makes events and notes what was accepted."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._uploads = folder / "uploads"
        self._storm = Storm(folder, 0)
        self._begin = 0
        self.accepted: dict[str, list[str]] = {"orders": [], "clicks": [], "work": []}

    async def send_all(self, events: int, killed: anyio.Event) -> None:
        """Spread the events over the time of the kills; what is left then goes at once."""
        self._begin = int(time.time()) + 1
        for begin in range(0, events, AT_ONCE):
            numbers = range(begin, min(begin + AT_ONCE, events))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, self._write, numbers[3::4])
                for number in numbers:
                    if number % 4 != 3:
                        tasks.start_soon(self._send, number)
            with anyio.move_on_after(0.05):
                await killed.wait()

    def expected(self) -> dict[str, list[str]]:
        """What must have its end some time: what was accepted, what lies there, and each second until now."""
        instants = range(self._begin, int(time.time()))
        return {
            **self.accepted,
            "ticks": [f"{schedule}-{instant}" for schedule in SCHEDULES for instant in instants],
            "objects": [f"{key}@{etag}" for key, etag in present(self._uploads).items()],
        }

    async def _send(self, number: int) -> None:
        key, name = f"k{number % KEYS}", f"k{number % KEYS}-{number:06}"
        body = encode_json(name)
        kind = ("orders", "clicks", "work")[number % 4]
        if kind == "orders":
            await self._engine.queue("orders").send([Message(name, body, key)])
        elif kind == "clicks":
            await self._engine.stream("clicks").publish([Record(key, body, name)])
        else:
            event = Event(id=name, source="soak", type="soak", time=now(), data=body)
            envelope = encode_envelope(Envelope(event, new_id(), "direct"))
            await self._engine.queue(queue_name("work")).send([Message(f"soak {name}", envelope)])
        self.accepted[kind].append(name)

    def _write(self, numbers: range) -> None:
        for number in numbers:
            self._storm.go(number)


class Done(NamedTuple):
    """A success, by which function, in which life of a host."""

    function: str
    life: str
    name: str


class Story:
    """What the log tells: all successes in their order, and before which of them each life had ended."""

    def __init__(self, log: Path) -> None:
        self.done: list[Done] = []
        self.ends: dict[str, int] = {}
        for function, life, *names in map(str.split, log.read_text().splitlines()):
            if function == "killed":
                self.ends[life] = len(self.done)
            self.done += [Done(function, life, name) for name in names]

    def of(self, function: str) -> list[str]:
        return [done.name for done in self.done if done.function == function]

    def repeated(self, function: str) -> tuple[int, set[str]]:
        """How often something was done once more, and what of it although the host of before was not killed."""
        lives: dict[str, list[str]] = {}
        count, unexcused = 0, set()
        for place, done in enumerate(self.done):
            if done.function == function:
                before = lives.setdefault(done.name, [])
                count += bool(before)
                if any(self.ends.get(life, place + 1) > place for life in before):
                    unexcused.add(done.name)
                before.append(done.life)
        return count, unexcused


async def soak(folder: Path, kills: int, events: int, lease: float, seed: int) -> list[str]:
    """What was wrong; the figures are printed."""
    url, log = f"sqlite:///{folder}/engine.db", folder / "log"
    log.touch()
    dice = random.Random(seed)
    async with open_engine(str(APP), settings={"engine": url}) as engine:
        sender, hosts = Sender(engine, folder), Hosts(url, lease, folder, 2)
        began = time.monotonic()
        try:
            await anyio.to_thread.run_sync(hosts.wait)
            async with anyio.create_task_group() as tasks:
                killed = anyio.Event()
                tasks.start_soon(sender.send_all, events, killed)
                for number in range(1, kills + 1):
                    await anyio.to_thread.run_sync(hosts.kill, number % 2)
                    await anyio.sleep(dice.uniform(0, 0.4))
                killed.set()
            print(f"{kills} kills in {time.monotonic() - began:.0f} s", flush=True)
            expected = await _settled(sender, engine, log)
        finally:
            hosts.end()
        dead = {function: await _dead(engine, queue) for function, queue in QUEUES.items()}
    lapsed = _lapsed(folder)
    if lapsed:
        print("a lease ran out under a host that lived: what was done once more is not judged")
    return _judge(expected, Story(log), dead, lapsed=lapsed)


async def _settled(sender: Sender, engine: Engine, log: Path) -> dict[str, list[str]]:
    """Return what must be done when all of it is, or when nothing happens any more."""
    expected = sender.expected()
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        await anyio.sleep(0.2)
        story = Story(log)
        done = {done.name for done in story.done if done.function != "ticks"}  # They never end.
        if len(done) != size:
            size, since = len(done), time.monotonic()
            continue
        totals = {function: (await engine.queue(queue).statistics()).total for function, queue in QUEUES.items()}
        left = set(expected["clicks"]) - done, set(expected["ticks"]) - set(story.of("ticks"))
        # The seconds of now may be under way.
        if not any(left) and not any(total for function, total in totals.items() if function != "ticks"):
            break
    return expected


async def _dead(engine: Engine, queue: str) -> set[str]:
    return {_name_of(queue, letter.message) for letter in await engine.queue(queue).dead_letters(100_000)}


def _name_of(queue: str, message: Message) -> str:
    event = contents_of(queue, message).event
    if event is None or event.source == "soak":
        return message.id.removeprefix("soak ")
    if event.type == "fnframe.cron.tick":
        tick = msgspec.json.decode(event.data, type=Tick)
        return f"{tick.schedule}-{tick.scheduled.timestamp():.0f}"
    found = msgspec.json.decode(event.data, type=ObjectCreated)
    return f"{found.key}@{found.etag}"


def _judge(expected: dict[str, list[str]], story: Story, dead: dict[str, set[str]], *, lapsed: bool) -> list[str]:
    problems = []
    for function, names in {**expected, "sent": story.of("work")}.items():
        done, buried = story.of(function), dead.get(function, set())
        lost = set(names).difference(done, buried)
        again, unexcused = story.repeated(function)
        print(
            f"{function}: {len(set(names)):,} accepted, {len(done):,} done, {again:,} of them once more, "
            f"{len(buried):,} dead"
        )
        if lost:
            problems.append(f"{function}: {len(lost)} lost, {sorted(lost)[:3]}")
        if unexcused and not lapsed:
            problems.append(f"{function}: {len(unexcused)} done once more for no reason, {sorted(unexcused)[:3]}")
        if function in ORDERED:
            problems += _disorder(function, dict.fromkeys(done))
    return problems


def _lapsed(folder: Path) -> bool:
    """Whether a host lived and lost what it had, since it could not say so in time."""
    told = (folder / "told").read_text()
    return "ran out" in told or "went to another consumer" in told


def _disorder(function: str, names: Collection[str]) -> Iterator[str]:
    """Keys whose first successes are not in the order of acceptance."""
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(name.partition("-")[0], []).append(name)
    for key, mine in by_key.items():
        if mine != sorted(mine) and key != "free":
            yield f"{function}: {key} is out of order"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--lease", type=float, default=5.0, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fnframe-kills-") as folder:
        problems = anyio.run(
            soak, Path(folder).resolve(), arguments.kills, arguments.events, arguments.lease, arguments.seed
        )
    for problem in problems:
        print(problem)
    print("nothing lost, nothing out of order" if not problems else f"{len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
