"""Several processes on one SQLite file, and a schedule for each second: each instant fires once, in one of them.

With `--kill`, a process is killed every few seconds and another one started. Then an instant may run twice, if the one
that ran it died before it could say so; none may be missing.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import anyio

COMMAND = [sys.executable, "-m", "bench.soak.cron", "--serve"]


def serve(folder: str) -> None:
    """One of the processes; it ends with its standard input."""
    from ..apps.every_second import app

    async def run() -> None:
        async with app.run(engine=f"sqlite:///{folder}/engine.db", grace=2.0):
            print("ready", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)

    anyio.run(run)


class Processes:
    """Those that serve, each with a pipe that ends it."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.running = [self.start() for _ in range(count)]
        for process in self.running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def start(self) -> subprocess.Popen[str]:
        environ = {**os.environ, "BENCH_NOTES": str(self.notes)}
        pipe = subprocess.PIPE
        return subprocess.Popen([*COMMAND, str(self.folder)], stdin=pipe, stdout=pipe, text=True, env=environ)

    def kill_one(self) -> None:
        place = random.randrange(len(self.running))
        self.running[place].kill()
        self.running[place].wait()
        self.running[place] = self.start()

    def end(self) -> None:
        for process in self.running:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.running:
            assert process.wait(30) == 0, process.returncode

    def noted(self) -> list[tuple[int, int]]:
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(int(instant), int(pid)) for instant, pid in map(str.split, lines)]


def main(processes: int, seconds: float, kill: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        serving = Processes(Path(folder), processes)
        first = int(time.time()) + 2
        kills = 0
        while time.time() < first + seconds:
            time.sleep(2.0 if kill else 0.1)
            if kill:
                serving.kill_one()
                kills += 1
        deadline = time.time() + 30
        last = int(time.time()) - 1
        wanted = range(first, last + 1)
        # Each runs in any of the processes: the last one may be noted before others are.
        while not set(wanted) <= {instant for instant, _ in serving.noted()} and time.time() < deadline:
            time.sleep(0.05)
        serving.end()
        counts = Counter(instant for instant, _ in serving.noted())
        shares = Counter(pid for _, pid in serving.noted())
    missing = [instant for instant in wanted if not counts[instant]]
    twice = [instant for instant in wanted if counts[instant] > 1]
    print(
        f"{processes} processes, {kills} killed, {len(wanted)} instants: {len(missing)} missing, {len(twice)} more "
        f"than once; they ran in {len(shares)} processes, {sorted(shares.values(), reverse=True)[:8]} of them each"
    )
    return 1 if missing or len(twice) > kills else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.cron", description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    else:
        sys.exit(main(arguments.processes, arguments.seconds, arguments.kill))
