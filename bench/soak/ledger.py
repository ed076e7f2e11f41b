"""A ledger of a million rows: the bill from its hours is, to the last unit, what the rows say, recomputed slowly.

Rows are what a month of six functions leaves, for four tenants and with tags, some of them twice; then the questions
that people ask, and how long they take.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fnframe_billing.bill import make_bill
from fnframe_billing.book import PriceBook, find_book
from fnframe_billing.hours import cells, uses
from fnframe_billing.ledger import Ledger
from fnframe_billing.rows import peaks

from fnframe import Report

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from slow_bill import slow_bill  # noqa: E402

BEGIN, END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
SPAN = BEGIN.date(), END.date()
BATCH = 2000

# Name, memory, trigger, usual milliseconds, usual peak, tags.
FUNCTIONS = [
    ("thumbnail", 1024, "files", 180.0, 120.0, {"team": "media"}),
    ("checkout", 512, "http", 60.0, 90.0, {"team": "web"}),
    ("search", 256, "http", 40.0, 70.0, {"team": "web"}),
    ("report", 512, "cron", 9000.0, 400.0, {"team": "data"}),
    ("mail", 128, "queue", 120.0, 50.0, {}),
    ("audit", 128, "stream", 5.0, 40.0, {"team": "data", "stage": "live"}),
]
OUTCOMES = ["success"] * 60 + ["ValueError", "Sandbox.Timedout", "Runtime.OutOfMemory"]


def invocations(count: int) -> Iterator[Report]:
    chance = random.Random(20261101)
    seconds = (END - BEGIN).total_seconds()
    for number in range(count):
        name, memory, trigger, usual, peak, tags = chance.choice(FUNCTIONS)
        yield Report(
            request_id=f"5f0e1c2d-3b4a-8596-b7c8-{number:012x}",
            function=name,
            trigger=trigger,
            invocation_type="synchronous" if trigger == "http" else "asynchronous",
            attempt=1,
            outcome=chance.choice(OUTCOMES),
            started_at=BEGIN + dt.timedelta(seconds=chance.random() * seconds),
            queued_ms=chance.random(),
            init_duration_ms=chance.uniform(2, 90) if chance.random() < 0.01 else None,
            duration_ms=round(usual * chance.lognormvariate(0, 0.6), 6),
            memory_size_mb=memory,
            max_memory_used_mb=round(peak * chance.lognormvariate(0, 0.1) * 1024) / 1024,
            memory_method="peak-rss-reset",
            cpu_ms=round(usual * 0.7, 3),
            environment_id="e",
            event_id="e",
            tenant=chance.choice(["acme", "zeta", "omega", None]),
            tags=tags,
            event_bytes=chance.choice([100, 100, 300_000]),
        )


def timed(label: str, run: Callable[[], Any]) -> Any:
    begin = time.perf_counter()
    found = run()
    print(f"{label:<42} {(time.perf_counter() - begin) * 1000:>10,.1f} ms", flush=True)
    return found


def write(ledger: Ledger, rows: int) -> None:
    waiting: list[Report] = []
    for report in invocations(rows):
        waiting.append(report)
        if len(waiting) == BATCH:
            # A tenth of them once more, as after a crash.
            ledger.write([*waiting, *waiting[: BATCH // 10]])
            waiting = []
    ledger.write(waiting)


def main(rows: int, path: Path) -> int:
    with Ledger(path, "shop") as ledger:
        timed(f"{rows:,} rows written, a tenth of them twice", lambda: write(ledger, rows))
    print(f"{path.stat().st_size / rows:.0f} bytes a row")
    connection = Ledger(path).reader()
    assert connection.execute("SELECT count(*) FROM invocations").get == rows
    well = True
    for name in ("lambda-x86", "lambda-arm", "own-machine"):
        well = compare(connection, find_book(name, ROOT)) and well
    timed("peaks of memory, for advice", lambda: peaks(connection, BEGIN, END))
    timed("by day, function, tenant and tags", lambda: list(uses(connection, *SPAN)))
    connection.close()
    print("equal to the last unit" if well else "NOT EQUAL")
    return 0 if well else 1


def compare(connection: Any, book: PriceBook) -> bool:
    """Whether the bill, however it is divided, is what the rows say."""
    expected = timed(f"{book.name}: from the rows, slowly", lambda: slow_bill(connection, book, False))
    found = []
    for by in ("function", "tenant", "tag", "day"):
        used = partial(cells, connection, *SPAN, by=by, init_billed=book.init_billed)
        bill = timed(
            f"{book.name}: by {by}", lambda by=by, used=used: make_bill(book, used(), *SPAN, by=by, free_tier=False)
        )
        found += [bill.cost, sum(line.cost for line in bill.lines), sum(charge.cost for charge in bill.charges)]
    same = set(found) == {expected}
    print(f"    {expected / 10**12:.12f} {book.currency}, {'the same' if same else f'NOT {found}'}")
    return same


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="where to leave the ledger; by default nowhere")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "ledger.db"
        status = main(arguments.rows, made)
        if arguments.keep:
            shutil.move(made, arguments.keep)
    sys.exit(status)
