"""What the bill costs: invocations with a ledger and without, and questions to a ledger of a million rows.

`64:` 64 in flight, two environments, both cores, as in `isolated`. With billing, every invocation is on disk within
50 ms, in one step with others: the first 200,000 of a burst as they come, to be summed up later, others as rows.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from .harness import ENDINGS, Figures, Goal, case, main
from .workload import concurrently

ROOT = Path(__file__).parents[1]
ROWS = 1_000_000
LEDGER = Path(tempfile.gettempdir()) / f"fnframe-bench-{os.getuid()}-{ROWS}.db"
"""Made by the first case that asks for it, and left for the next."""

GOALS = [
    Goal("64: billing", "per_s", against="64: no billing", at_least=0.9),
    Goal("bill, 1,000,000 rows", "ms", at_most=1000.0, unit="ms"),
    Goal("month, from hours", "ms", at_most=50.0, unit="ms"),
]


def invocations(**settings: object) -> Figures:
    from .apps.echo import app

    async def measure() -> Figures:
        async with app.run(max_environments=2, billing=settings) as running:

            async def invoke(event: object) -> object:
                return (await running.invoke("echo", event)).unwrap()

            return await concurrently(invoke, 64)

    return anyio.run(measure)


@case("64: no billing")
def _() -> Figures:
    return invocations(enabled=False)


@case("64: billing")
def _() -> Figures:
    folder = tempfile.mkdtemp()
    ENDINGS.append(lambda: shutil.rmtree(folder))
    return invocations(enabled=True, ledger=f"{folder}/ledger.db")


@case("64: billing, rows")
def _() -> Figures:
    """As if so many waited already that each must become a row at once."""
    from fnframe_billing import ledger

    ledger.MOST_WAITING = 0
    folder = tempfile.mkdtemp()
    ENDINGS.append(lambda: shutil.rmtree(folder))
    return invocations(enabled=True, ledger=f"{folder}/ledger.db")


@case("64: billing, budgets")
def _() -> Figures:
    """Three budgets that every invocation counts on, and one that is asked before each."""
    folder = tempfile.mkdtemp()
    ENDINGS.append(lambda: shutil.rmtree(folder))
    budgets = [
        {"name": "app", "cost": 1000, "action": "stop"},
        {"name": "function", "requests": 10**9, "function": "*"},
        {"name": "day", "gb_seconds": 10**9, "per": "day", "timezone": "Europe/Berlin"},
    ]
    return invocations(enabled=True, ledger=f"{folder}/ledger.db", budgets=budgets)


@case("bill, 1,000,000 rows")
def _() -> Figures:
    """The command, from the shell's prompt back to it."""
    make_ledger()
    command = [sys.executable, "-m", "fnframe.cli", "bill", str(app_folder()), "--month", "2026-11"]
    begin = time.perf_counter()
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | enabled())
    seconds = time.perf_counter() - begin
    assert "shop, November 2026" in told.stdout
    return {"ms": seconds * 1000}


@case("month, from hours")
def _() -> Figures:
    """The same within a program."""
    from fnframe_billing.billing import Billing
    from fnframe_billing.book import find_book
    from fnframe_billing.ledger import Ledger

    make_ledger()
    billing = Billing(Ledger(LEDGER), find_book("lambda-x86", ROOT))
    span = {"begin": dt.date(2026, 11, 1), "end": dt.date(2026, 12, 1)}
    billing.bill("function", **span)
    begin = time.perf_counter()
    bill = billing.bill("function", **span)
    seconds = time.perf_counter() - begin
    assert bill.usage.invocations > ROWS * 0.9
    return {"ms": seconds * 1000}


def make_ledger() -> None:
    if not LEDGER.exists():
        command = [sys.executable, "-m", "bench.soak.ledger", "--rows", str(ROWS), "--keep", str(LEDGER)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def app_folder() -> Path:
    """The folder of an app whose ledger that is."""
    folder = Path(tempfile.mkdtemp())
    ENDINGS.append(lambda: shutil.rmtree(folder))
    (folder / "app.py").write_text("")
    (folder / "fnframe.toml").write_text(f'[billing]\nledger = "{LEDGER}"\n')
    return folder


def enabled() -> dict[str, str]:
    return {"FNFRAME_BILLING_ENABLED": "true"}


if __name__ == "__main__":
    main(__spec__, GOALS, {"per_s": "per second", "p50_us": "p50 us", "p99_us": "p99 us", "ms": "ms"})
