"""Hosts that are killed with SIGKILL at random moments under load, and what their bill says then.

Two hosts share an engine and a ledger; one of them is killed every now and then, and another takes its place. Events
come by a function's own queue, where attempts fail, by a user's queue and by a stream; others call and wait, and note
each reply when they have it. Afterwards each settled attempt must be billed once, each message and each record by one
invocation that succeeded, and of the replies at most those of the last moments of a host may be missing: none, where
hosts reply `--commit before-reply`. Hours and budgets must be what the rows sum up to. With `--bursts`, there is no
budget, and replies that come together wait in the ledger to become rows, as they do under more load than there is here.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
from fnframe_billing.ledger import Ledger

from fnframe import Event
from fnframe.dispatch.acceptance import queue_name
from fnframe.dispatch.queues.asynchronous import Envelope, encode_envelope
from fnframe.engine.protocol import Message, Record
from fnframe.event import encode_json, new_id, now
from fnframe.runtime.open_engine import open_engine

if TYPE_CHECKING:
    from fnframe.engine.protocol import Engine

APP = Path(__file__).parents[1] / "apps" / "billed.py"
HOST = """
import os, sys, time, anyio, anyio.to_thread
from fnframe.runtime.run import run_target
target, engine, ledger, commit, callers, bursts, replies = sys.argv[1:]
billing = {"enabled": True, "ledger": ledger, "commit": commit}
if bursts == "True":
    from fnframe_billing import keeping
    keeping.BURST = 2
else:
    billing["budgets"] = [{"name": "all", "requests": 10**9}]
settings = {"engine": engine, "lease": 2.0, "max_environments": 4, "retry_base": 0.05, "billing": billing}
async def call(running, descriptor):
    while True:
        outcome = await running.invoke("ask", 1)
        os.write(descriptor, f"{outcome.report.request_id} {time.monotonic_ns()}\\n".encode())
async def main():
    descriptor = os.open(replies, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    async with run_target(target, settings=settings) as running, anyio.create_task_group() as tasks:
        for _ in range(int(callers)):
            tasks.start_soon(call, running, descriptor)
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)  # Until the soak wants it to end.
        tasks.cancel_scope.cancel()
anyio.run(main)
"""
QUIET = 60.0
"""Seconds after the last success within which another must come, or the rest is lost."""


class Place(NamedTuple):
    """Where everything is."""

    folder: Path

    @property
    def engine(self) -> str:
        return f"sqlite:///{self.folder}/engine.db"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"


class Host:
    """One life of a host; `killed` is when it was killed, in nanoseconds of the monotonic clock."""

    def __init__(self, place: Place, commit: str, callers: int, bursts: bool) -> None:
        self.replies = place.folder / f"replies-{new_id()}"
        self.killed: int | None = None
        arguments = [APP, place.engine, place.ledger, commit, callers, bursts, self.replies]
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOST, *map(str, arguments)],
            env={**os.environ, "BILLED_LOG": str(place.log)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(place.folder / "told").open("ab"),
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError("a host did not start")

    def kill(self) -> None:
        self.killed = time.monotonic_ns()
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def end(self) -> None:
        """End in order."""
        self._process.communicate("", timeout=60)


class Sender:
    """Sends events and notes what was accepted; of a function's own events, the id of the request."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.orders: list[str] = []
        self.clicks: list[str] = []
        self.work: dict[str, str] = {}

    async def send(self, number: int) -> None:
        name = f"n{number:06}"
        body = encode_json(name)
        if number % 3 == 0:
            await self._engine.queue("orders").send([Message(name, body)])
            self.orders.append(name)
        elif number % 3 == 1:
            await self._engine.stream("clicks").publish([Record(name, body, name)])
            self.clicks.append(name)
        else:
            event, request_id = Event(id=name, source="soak", type="soak", time=now(), data=body), new_id()
            envelope = encode_envelope(Envelope(event, request_id, "direct"))
            await self._engine.queue(queue_name("work")).send([Message(f"soak {name}", envelope)])
            self.work[name] = request_id

    async def send_until(self, killed: anyio.Event) -> None:
        """Send while hosts are killed."""
        numbers = itertools.count()
        while not killed.is_set():
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(self.send, next(numbers))
            with anyio.move_on_after(0.05):
                await killed.wait()


async def soak(
    place: Place, kills: int, callers: int, commit: str, within_ms: float, *, bursts: bool = False
) -> list[str]:
    """What was wrong; the figures are printed."""
    place.log.touch()
    dice = random.Random(kills)
    lives = [Host(place, commit, callers, bursts) for _ in range(2)]
    serving = list(lives)
    async with open_engine(str(APP), settings={"engine": place.engine}) as engine:
        sender = Sender(engine)
        async with anyio.create_task_group() as tasks:
            killed = anyio.Event()
            tasks.start_soon(sender.send_until, killed)
            for number in range(kills):
                host = serving[number % 2]
                await anyio.to_thread.run_sync(host.wait_until_ready)
                await anyio.sleep(dice.uniform(0, 0.4))
                host.kill()
                serving[number % 2] = Host(place, commit, callers, bursts)
                lives.append(serving[number % 2])
            killed.set()
        await _settled(sender, engine, place)
        for host in serving:
            await anyio.to_thread.run_sync(host.end)
    with Ledger(place.ledger) as ledger:
        return [*_judge(sender, place.log, ledger), *_judge_replies(lives, ledger, commit, within_ms)]


async def _settled(sender: Sender, engine: Engine, place: Place) -> None:
    """Return when everything is done, or when nothing happens any more.

    A record is done when a run of it is billed: one that a host began which was killed then comes again.
    """
    size, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        await anyio.sleep(0.1)
        runs = list(_runs(place.log))
        if len(runs) != size:
            size, since = len(runs), time.monotonic()
            continue
        totals = [(await engine.queue(queue).statistics()).total for queue in ("orders", queue_name("work"))]
        if any(totals):
            continue
        with Ledger(place.ledger) as ledger:
            outcomes = _outcomes(ledger)
        done = {name for function, key, names in runs if function == "clicks" and key in outcomes for name in names}
        if done.issuperset(sender.clicks):
            return


def _outcomes(ledger: Ledger) -> dict[tuple[str, int], str]:
    """What came of each invocation that is billed."""
    rows = "SELECT request_id, attempt, outcome FROM invocations JOIN kinds ON kinds.id = kind"
    with closing(ledger.reader()) as connection:
        return {(request_id, attempt): outcome for request_id, attempt, outcome in connection.execute(rows)}


def _runs(log: Path) -> Iterator[tuple[str, tuple[str, int], list[str]]]:
    """Of each invocation that came to its last line: its function, request and attempt, and what it did."""
    for line in log.read_text().splitlines():
        function, request_id, attempt, *names = line.split()
        yield function, (request_id, int(attempt)), names


def _judge(sender: Sender, log: Path, ledger: Ledger) -> list[str]:
    outcomes = _outcomes(ledger)
    connection = ledger.reader()
    sums = connection.execute(
        "SELECT (SELECT sum(requests) FROM invocations), (SELECT sum(requests) FROM hourly), "
        "ifnull((SELECT sum(requests) FROM spent), (SELECT sum(requests) FROM hourly))"
    ).fetchone()
    connection.close()
    runs = list(_runs(log))
    problems = [f"{len(outcomes):,} rows, and requests of rows, hours and budget: {sums}"] * (len(set(sums)) != 1)
    for function, names in (("orders", sender.orders), ("clicks", sender.clicks)):
        mine = [(key, done) for each, key, done in runs if each == function]
        billed = Counter(name for key, done in mine if outcomes.get(key) == "success" for name in done)
        unbilled = sum(key not in outcomes for key, _ in mine)
        print(f"{function}: {len(names):,} accepted, {len(mine):,} runs, {unbilled:,} died before they were settled")
        wrong = [name for name in names if billed[name] != 1]
        problems += [f"{function}: {name} is billed {billed[name]} times" for name in wrong[:3]]
    attempts = defaultdict(list)
    for (request_id, attempt), outcome in sorted(outcomes.items()):
        attempts[request_id].append((attempt, outcome == "success"))
    tried = sum(len(attempts[each]) for each in sender.work.values())
    print(f"work: {len(sender.work):,} accepted, {tried:,} attempts")
    for name, request_id in sender.work.items():
        found = attempts[request_id]
        if found != [(number, number == len(found)) for number in range(1, len(found) + 1)] or not found:
            problems.append(f"work: of {name} attempts are billed {found}")
    return problems


def _judge_replies(lives: list[Host], ledger: Ledger, commit: str, within_ms: float) -> list[str]:
    """Whether replies are missing that were not among the last before their host was killed."""
    connection = ledger.reader()
    billed = {request_id for (request_id,) in connection.execute("SELECT request_id FROM invocations")}
    connection.close()
    replies, missing, oldest, problems = 0, 0, 0.0, []
    for host in lives:
        for line in host.replies.read_text().splitlines() if host.replies.exists() else ():
            request_id, moment = line.split()
            replies += 1
            if request_id in billed:
                continue
            missing += 1
            if host.killed is None:
                problems.append(f"a reply of a host that ended in order is not billed: {request_id}")
            else:
                oldest = max(oldest, (host.killed - int(moment)) / 1e6)
    print(f"ask, {commit}: {replies:,} replies, {missing:,} not billed, the oldest of the last {oldest:.1f} ms")
    if (missing and commit == "before-reply") or oldest > within_ms:
        problems.append(f"replies are not billed: {missing}, the oldest of the last {oldest:.1f} ms")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak.bills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--commit", choices=["grouped", "before-reply"], default="grouped")
    parser.add_argument("--within", type=float, default=50.0, help="milliseconds of replies that may be missing")
    parser.add_argument("--bursts", action="store_true", help="have replies wait in the ledger to become rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fnframe-bills-") as folder:
        problems = anyio.run(
            partial(soak, bursts=arguments.bursts),
            Place(Path(folder)), arguments.kills, arguments.callers, arguments.commit, arguments.within,
        )  # fmt: skip
    for problem in problems:
        print(problem)
    print("each is billed once" if not problems else f"{len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
