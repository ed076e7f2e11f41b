"""The README shows what is true: its bill, its settings, its price books and its programs."""

from __future__ import annotations

import datetime as dt
import importlib.util
import re
from decimal import Decimal
from pathlib import Path

import pytest
from billing_reports import report
from fnframe_billing.asked import ledger_of
from fnframe_billing.book import read_book
from fnframe_billing.hours import GROUPS
from fnframe_billing.ledger import Ledger
from fnframe_billing.settings import Budget, Collector
from fnframe_billing.usage import METERS

from fnframe.cli.commands import execute
from fnframe.runtime.run import run_target

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def october():
    """What the shop of the README did: on each day a little more, and mail on one of them."""
    for day in range(1, 32):
        at = dt.datetime(2026, 10, day, 12, tzinfo=dt.UTC)
        for number in range(2 * day):
            outcome = "ValueError" if number == 9 else "success"
            yield report(function="thumbnail", memory_size_mb=1024, duration_ms=180.0, outcome=outcome, started_at=at)
        for _ in range(40):
            yield report(function="checkout", memory_size_mb=512, duration_ms=7.5, started_at=at)
    for number in range(88):
        outcome = "success" if number % 8 else "Sandbox.Timedout"
        at = dt.datetime(2026, 10, 19, 3, tzinfo=dt.UTC)
        yield report(function="mail", duration_ms=100.0 + number, outcome=outcome, started_at=at)


def test_the_bill_that_it_shows(tmp_path, monkeypatch, capsys):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "app.py").write_text("1 / 0\n")
    with Ledger(tmp_path / "shop" / ".fnframe" / "ledger.db", "shop") as ledger:
        ledger.write(list(october()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    command, _, shown = blocks("console")[0].partition("\n")
    assert execute(command.removeprefix("$ fnframe ").split()) == 0
    assert capsys.readouterr().out == shown


def test_its_settings_are_settings(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text("")
    (tmp_path / "fnframe.toml").write_text(blocks("toml")[0])
    with Ledger(tmp_path / ".fnframe" / "ledger.db") as ledger:
        ledger.write([report()])
    with ledger_of(str(tmp_path), {}) as asked:
        settings = asked.settings
    assert settings.budgets == (
        Budget(
            name="acme's share", requests=100_000, tenant="acme", per="day", timezone="Europe/Berlin", action="throttle"
        ),
    )
    assert settings.collector == Collector(url="https://openmeter.example/api/v1/events", token="$OPENMETER_TOKEN")  # noqa: S106
    told = blocks("toml")[0].partition("[[")[0]
    assert {name: str(getattr(settings, name)) for name in settings.__struct_fields__ if f"\n{name} =" in told} == {
        "ledger": ".fnframe/ledger.db", "price": "lambda-x86", "free_tier": "True", "commit": "grouped",
        "keep_days": "62", "enabled": "True",
    }  # fmt: skip


def test_its_price_books_are_price_books(tmp_path):
    for text, currency, prices in zip(blocks("toml")[1:], ("EUR", "EUR"), (2, 2), strict=True):
        (tmp_path / "prices.toml").write_text(text)
        book = read_book(tmp_path / "prices.toml")
        assert (book.currency, len(book.price_list())) == (currency, prices)
    assert book.price_list()[0].price == Decimal("0.21") / 2 / 16


def test_every_meter_and_every_group_is_told():
    assert set(re.findall(r"^\| `([a-z-]+)` \| [a-zA-Z-]+ \|", README, re.MULTILINE)) == set(METERS)
    row = next(line for line in README.splitlines() if line.startswith("| `--by"))
    assert set(re.findall(r"`([a-zA-Z:]+)`", row)) == {*GROUPS, "tag:NAME"}


@pytest.mark.anyio
async def test_its_programs_run(tmp_path):
    app, program = blocks("python")
    (tmp_path / "app.py").write_text(app)
    (tmp_path / "program.py").write_text(program)
    spec = importlib.util.spec_from_file_location("readme_program", tmp_path / "program.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    async with run_target(str(tmp_path / "app.py"), serve="calls", settings={"billing.free_tier": False}) as running:
        paid = await module.spent(running)
        (line,) = (await running.billing.summary("tenant")).lines
    assert (line.group, Decimal(line.cost).scaleb(-12)) == ("acme", paid)
