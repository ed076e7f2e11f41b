"""`fnframe bill`, `fnframe top` and `fnframe advise`, as a user runs them."""

from __future__ import annotations

import csv
import ctypes
import datetime as dt
import fcntl
import io
import itertools
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from billing_reports import report, reports
from fnframe_billing import amounts, chart, table
from fnframe_billing.bill import Cell, make_bill
from fnframe_billing.book import find_book
from fnframe_billing.focus import columns
from fnframe_billing.ledger import Ledger
from fnframe_billing.rows import Peaks
from fnframe_billing.usage import Usage
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fnframe.cli.commands import execute

ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("FNFRAME_")} | {"COLUMNS": "80"}
COMMAND = [sys.executable, "-m", "fnframe.cli"]
X86 = find_book("lambda-x86", None)
OWN = 'name="o"\nversion="1"\ntitle="o"\ncurrency="EUR"\n[[prices]]\nmeter="compute"\nprice=1'
NOVEMBER = dt.date(2025, 11, 1), dt.date(2025, 12, 1)


@pytest.fixture
def shop(tmp_path):
    """The folder of an app with a ledger; the app itself is never imported."""
    (tmp_path / "app.py").write_text("1 / 0\n")
    return tmp_path


SHOP = """
from fnframe import App

app = App("shop")


@app.function()
def order(event):
    return event
"""


def obeying():
    """Be one to whom permissions mean something, also where the tests run as root."""
    ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE: programs that are started now have it no more.


def test_what_may_not_be_written_to_can_be_looked_at_and_called(tmp_path):
    (tmp_path / "app.py").write_text(SHOP)
    tmp_path.chmod(0o555)
    try:
        for command in (["functions", tmp_path], ["invoke", tmp_path, "order", "--data", "5"]):
            done = subprocess.run(
                [*COMMAND, *command],
                env=ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=obeying,
            )
            assert done.returncode == 0, done.stderr
        assert done.stdout == "5\n"
        assert [path.name for path in tmp_path.iterdir()] == ["app.py"]
    finally:
        tmp_path.chmod(0o755)


@pytest.fixture
def keep(shop):
    """Put reports into the ledger."""

    def keep(*kept):
        with Ledger(shop / ".fnframe" / "ledger.db", "shop") as ledger:
            ledger.write(kept)

    return keep


class Told(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def fnframe(shop, monkeypatch, capsys):
    """Run a command in this process, which is what takes its time otherwise."""
    monkeypatch.chdir(shop)
    monkeypatch.setenv("COLUMNS", "80")

    def fnframe(*arguments):
        capsys.readouterr()
        status = execute(list(arguments))
        return Told(status, *capsys.readouterr())

    return fnframe


def on(day, hour=12, **fields):
    return report(started_at=dt.datetime(2025, 11, day, hour, tzinfo=dt.UTC), **fields)


@pytest.fixture
def november(keep):
    keep(
        *[on(day, function="thumbnail", memory_size_mb=1024, max_memory_used_mb=212.0, tenant="acme",
             tags={"team": "a"}) for day in range(1, 11) for _ in range(day)],
        *[on(3, function="mail", trigger="cron", outcome="ValueError", duration_ms=50) for _ in range(20)],
        report(started_at=dt.datetime(2025, 10, 31, 23, 59, tzinfo=dt.UTC), function="october"),
    )  # fmt: skip


# The table.

BILL = """\
shop, November 2025
AWS Lambda, x86_64, us-east-1 (price book lambda-x86 2026-11), USD

function   invocations  failed    GB-s       cost   share  by day, 1 to 30
thumbnail           55       0  5.5000  0.0001027  94.4 %  ▂▃▅▇█··········
mail                20      20  0.1250  0.0000061   5.6 %  ·█·············
─────────────────────────────────────────────────────────
                    75      20  5.6250  0.0001088

requests       75  requests  at 0.20 per 1,000,000   0.0000150
compute    5.6250  GB-s      at 0.0000166667         0.0000938
free tier      75  requests  0.0 % of 1,000,000     -0.0000150
           5.6250  GB-s      0.0 % of 400,000       -0.0000938
──────────────────────────────────────────────────────────────
to pay                                                    0.00 USD
"""


def test_the_bill_of_a_month(fnframe, november):
    told = fnframe("bill", "--month", "2025-11")
    assert told.returncode == 0, told.stderr
    assert told.stdout == BILL


@pytest.mark.parametrize("by", ["function", "trigger", "tenant", "tag", "tag:team", "day", "memory", "outcome"])
def test_what_is_shown_sums_up_in_80_columns(fnframe, november, by):
    lines = fnframe("bill", "--month", "2025-11", "--by", by, "--set", "billing.free_tier=false").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    head = next(n for n, line in enumerate(lines) if line.startswith(by))
    rule = next(n for n, line in enumerate(lines) if line.startswith("──"))
    costs = [Decimal(re.search(r"0\.\d{6,}", line)[0]) for line in lines[head + 1 : rule + 2] if "0." in line]
    assert sum(costs[:-1]) == costs[-1] == Decimal("0.0001088")
    assert lines[-1].split() == ["to", "pay", "0.0001088", "USD"]


@given(st.lists(st.integers(0, 10**15), max_size=20), st.integers(2, 12))
def test_rounded_parts_sum_to_the_rounded_whole(parts, decimals):
    whole, shown = amounts.shown(sum(parts), parts, decimals)
    assert sum(shown) == whole
    assert abs(whole - Decimal(sum(parts)).scaleb(-12)) * 2 <= Decimal(10) ** -decimals


@given(st.lists(reports, max_size=12), st.sampled_from(["function", "day", "tag", "tenant"]))
def test_any_bill_is_a_table_of_80_columns(found, by):
    cells = [
        Cell(
            each.started_at.date(), f"{each.tenant}{each.function * each.attempt}", Usage(1, 1, 1, each.memory_size_mb)
        )
        for each in found
    ]
    bill = make_bill(X86, cells, dt.date(2026, 9, 1), dt.date(2027, 1, 1), by=by)
    lines = [line for line, _ in table.bill_lines(bill, "any", dt.date(2026, 12, 24))]
    assert max(map(cell_len, lines)) <= 80


def test_a_long_name_leaves_room_for_the_trend_and_a_long_tag_for_the_table(fnframe, keep):
    """One long name took the trend of all lines away, and a long tag the table out of its 80 columns."""
    keep(*[on(day, function="resize-and-upload-to-the-archive", tags={"t" * 90: "v" * 90}) for day in range(1, 20)])
    by_function = fnframe("bill", "--month", "2025-11").stdout
    assert re.search(r"^resize.*…e-archive .* [·▁-█]{8,}$", by_function, re.MULTILINE)
    by_tag = fnframe("bill", "--month", "2025-11", "--by", f"tag:{'t' * 90}").stdout
    for told in (by_function, by_tag):
        assert max(map(cell_len, told.splitlines())) <= 80


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (0, 0, "0 %"),
        (0, 1, "-"),
        (10**6, 10**6 - 1, "0 %"),
        (1000, 996, "0 %"),
        (1000, 1050, "+5 %"),
        (100, 29, "-71 %"),
    ],
)
def test_a_change_is_told_in_whole_percent_without_a_sign_at_nothing(before, after, told):
    assert amounts.change(before, after) == told


def test_a_name_from_outside_moves_no_cursor_and_no_column(fnframe, keep):
    """Tenants come from outside."""
    keep(
        *[
            on(3, tenant=name)
            for name in ("\x1b[2J\x1b[31mred", "two\nlines", "[bold]no[/bold]", "顧客" * 20 + "顧", "plain")
        ]
    )
    lines = fnframe("bill", "--month", "2025-11", "--by", "tenant").stdout.splitlines()
    names = [r"\x1b[2J\x1b[31mred", r"two\nlines", "[bold]no[/bold]", "顧客顧客顧…客顧客顧", "plain"]
    rows = [next(line for line in lines if line.startswith(f"{name} ")) for name in names]
    assert {cell_len(row[: row.index(" 1 ")]) for row in rows} == {30}
    assert {cell_len(line[: line.index("  20.0 %")]) for line in rows} == {61}
    assert max(map(cell_len, lines)) <= 80


def test_many_lines_are_cut_and_still_sum_up(fnframe, keep):
    keep(*[on(1, tenant=f"tenant {n:04}", duration_ms=10 + n) for n in range(200)])
    lines = fnframe("bill", "--month", "2025-11", "--by", "tenant").stdout.splitlines()
    assert any(line.startswith("(161 others)") for line in lines)
    assert len(lines) < 60


def test_an_empty_month_and_no_ledger_say_so(fnframe, shop, november):
    assert "nothing was used; the ledger has 2025-10-31 to 2025-11-10" in fnframe("bill", "--month", "2027-01").stdout
    (shop / ".fnframe" / "ledger.db").rename(shop / "gone.db")
    missing = fnframe("bill")
    assert missing.returncode == 2
    assert "there is no ledger yet: it comes into being with the first invocation of an app that runs" in missing.stderr
    assert not (shop / ".fnframe" / "ledger.db").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--month", "2025-13"], "expected --month YEAR-MONTH, such as 2026-11, found '2025-13'"),
        (["--month", "november"], "expected --month YEAR-MONTH"),
        (["--month", "9999-12"], "expected --month YEAR-MONTH"),
        (["--set", "billing.ledger=."], "the ledger cannot be read"),
        (["--by", "tenent"], "not by 'tenent', did you mean 'tenant'?"),
        (["--price", "lambda-x68"], "did you mean 'lambda-x86'?"),
        (["--price", "none.toml"], "this price book cannot be read"),
        (["--format", "xml"], "xml"),
        (["--what-if", "memory"], "expected --what-if price=BOOK, memory=MB or memory=FUNCTION:MB"),
        (["--what-if", "memory=0"], "expected --what-if"),
        (["--what-if", f"memory={10**30}"], "expected --what-if"),
        (["--what-if", "memory=thumbnial:128"], "the ledger knows no function 'thumbnial', did you mean 'thumbnail'?"),
        (["--chart", "bill.png"], "expected --chart FILE.html or FILE.svg, found 'bill.png'"),
        (["--chart", "no/where.svg"], "No such file or directory"),
        (["nowhere"], "no file, folder or module 'nowhere'"),
        (["--chart", "b.svg", "--by", "day"], "--chart draws the bill by function, and goes with none of --by,"),
        (["--chart", "b.svg", "--what-if", "memory=128"], "--chart draws the bill by function"),
        (["--what-if", "memory=128", "--format", "json"], "--what-if is told as a table: leave out --format"),
        (["--focus", "1.4"], "--focus 1.4 goes with --format focus"),
        (["--format", "focus", "--by", "day"], "--format focus has a row for each day, function, tenant and set of"),
    ],
)
def test_what_is_asked_wrongly_is_told(fnframe, november, arguments, problem):
    told = fnframe("bill", *arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert problem in told.stderr
    assert "Traceback" not in told.stderr


def test_a_negative_price_is_told(fnframe, shop, november):
    (shop / "own.toml").write_text(
        'name="o"\nversion="1"\ntitle="o"\ncurrency="EUR"\n[[prices]]\nmeter="compute"\nprice=-1'
    )
    told = fnframe("bill", "--price", "own.toml")
    assert told.returncode == 2
    assert (
        "own.toml: this price book is wrong: prices[0].price must be a number and not negative, found -1" in told.stderr
    )


# For programs.


def test_json_is_exact(fnframe, november):
    bill = json.loads(fnframe("bill", "--month", "2025-11", "--format", "json").stdout)
    assert (bill["app"], bill["begin"], bill["end"], bill["currency"]) == ("shop", "2025-11-01", "2025-12-01", "USD")
    assert bill["price_book"]["version"] == X86.version
    for name in ("list_cost", "cost"):
        for part in ("lines", "charges"):
            assert sum(Decimal(each[name]) for each in bill[part]) == Decimal(bill["total"][name])
    thumbnail = bill["lines"][0]
    assert thumbnail["list_cost"] == "0.00010266685"
    assert thumbnail["gb_seconds"] == "5.5"
    assert len(thumbnail["by_day"]) == 10
    assert {charge["tier"] for charge in bill["charges"]} == {"free"}


def test_csv_is_exact(fnframe, november):
    text = fnframe("bill", "--month", "2025-11", "--by", "trigger", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["group"], row["invocations"], row["gb_seconds"], row["list_cost"]) for row in rows] == [
        ("direct", "55", "5.5", "0.00010266685"),
        ("cron", "20", "0.125", "0.000006083338"),
    ]
    assert {(row["begin"], row["end"], row["currency"]) for row in rows} == {("2025-11-01", "2025-12-01", "USD")}


@pytest.mark.parametrize("version", ["1.2", "1.4"])
def test_focus_sums_up_to_the_bill(fnframe, november, version):
    text = fnframe("bill", "--month", "2025-11", "--format", "focus", "--focus", version).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == columns(version)
    assert {row["ChargePeriodStart"][:7] for row in rows} == {"2025-11"}
    bill = json.loads(fnframe("bill", "--month", "2025-11", "--format", "json").stdout)
    for column, total in (("BilledCost", "cost"), ("ListCost", "list_cost")):
        assert sum(Decimal(row[column]) for row in rows) == Decimal(bill["total"][total])


def test_prices_of_ones_own(fnframe, shop, november):
    (shop / "own.toml").write_text(OWN)
    for where in (["--price", "own.toml"], ["--set", "billing.price=own.toml"]):
        lines = fnframe("bill", "--month", "2025-11", *where).stdout.splitlines()
        assert lines[1] == "o (price book o 1), EUR"
        assert lines[-1].split() == ["to", "pay", "5.625", "EUR"]
    dear = fnframe("bill", "--month", "2025-11", "--price", "own-machine", "--by", "outcome").stdout
    assert "processor " in dear
    assert "memory in use " in dear


# What if.


def test_what_it_would_cost_otherwise(fnframe, november):
    told = fnframe("bill", "--month", "2025-11", "--what-if", "memory=thumbnail:256", "--what-if", "price=lambda-arm")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "shop, November 2025: what if thumbnail is 256 MB and prices are lambda-arm"
    row = next(line for line in lines if line.startswith("thumbnail")).split()
    assert Decimal(row[1]) == Decimal("0.00010267")
    assert Decimal(row[2]) == Decimal("0.00002933")
    assert row[3:] == ["-71", "%"]
    assert next(line for line in lines if line.startswith("mail")).endswith("   -7 %")
    assert max(map(len, lines)) <= 80
    small = fnframe("bill", "--month", "2025-11", "--what-if", "memory=128").stdout
    assert "thumbnail used up to 212 MB: 128 MB would end it" in small


def test_other_currencies_are_not_compared(fnframe, shop, november):
    (shop / "own.toml").write_text(OWN)
    told = fnframe("bill", "--what-if", "price=own.toml")
    assert (told.returncode, "the price books have different currencies: USD and EUR" in told.stderr) == (2, True)


# The chart.


def test_a_chart_is_one_file_that_needs_nothing_else(fnframe, shop, november):
    for name in ("bill.svg", "bill.html"):
        told = fnframe("bill", "--month", "2025-11", "--chart", name)
        assert (told.returncode, told.stdout) == (0, f"drawn: {name}\n")
        text = (shop / name).read_text()
        assert not re.search(r"(?:src|href|@import|url)\s*[=(]", text)
        assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    picture = ET.parse(shop / "bill.svg").getroot()  # noqa: S314  our own
    bars = [element for element in picture.iter() if element.get("class") == "bar"]
    assert len(bars) == 2 * (10 + 1)
    titles = [element.text for element in picture.iter() if element.tag.endswith("title")]
    assert "2025-11-10 thumbnail: 1.86667e-05" in titles
    texts = [element.text for element in picture.iter() if element.tag.endswith("text")]
    assert {"cost by day, USD, in millionths", "GB-seconds by day", "0.0001088 USD, to pay 0.00"} < set(texts)
    assert texts[texts.index("cost by day, USD, in millionths") + 2 :][:5] == ["0", "5", "10", "15", "20"]


def test_what_stands_above_each_other_in_a_chart_does_not_overlap():
    cells = [
        Cell(dt.date(2025, 11, 3), f"a-function-with-a-long-name-{n}", Usage(1, 0, 1, 1000 - n)) for n in range(12)
    ]
    picture = ET.fromstring(chart.svg("shop", make_bill(X86, cells, *NOVEMBER, by="function"), cells))  # noqa: S314
    texts = [element for element in picture.iter() if element.tag.endswith("text")]
    lines = sorted({float(text.get("y")) for text in texts if text.get("text-anchor") == "start"})
    assert all(below - above >= 18 for above, below in itertools.pairwise(lines)), lines
    assert "a-function-with-a-…ng-name-6" in {text.text for text in texts}, "names that differ at their end do"


def test_a_chart_of_many_functions_and_of_none(tmp_path):
    cells = [Cell(dt.date(2025, 11, 3), f"<{'f' * n}>&", Usage(1, 0, 1, n * 1000)) for n in range(1, 20)]
    for found in (cells, []):
        bill = make_bill(X86, found, *NOVEMBER, by="function")
        ET.fromstring(chart.svg("<shop> & Co", bill, found))  # noqa: S314  our own
    assert "<f" not in chart.page("<shop>", make_bill(X86, cells, *NOVEMBER, by="function"), "")


# Advice.


def peaks(*mb, memory=1024, exhausted=0):
    return Peaks("f", memory, {each: mb.count(each) for each in mb}, exhausted)


def advised(found):
    from fnframe_billing.advice import advised

    used = {("f", found.memory_mb): Usage(invocations=1, mb_ms=found.memory_mb * 10_000_000)}
    (advice,) = advised([found], used, X86)
    return advice.memory_mb, amounts.change(advice.before, advice.after)


def test_memory_is_advised_by_what_was_measured():
    assert advised(peaks(*[200] * 980, *[212] * 20)) == (256, "-75 %")
    assert advised(peaks(*[60] * 1000))[0] == 128, "no function has less"
    assert advised(peaks(*[200] * 999, 700))[0] == 704, "never less than any took"
    assert advised(peaks(*[1000] * 100))[0] == 1216
    assert advised(peaks(*[1024] * 5, memory=1024, exhausted=2))[0] == 2048


def test_advice_tells_how_many_invocations_stand_behind_it(fnframe, keep):
    now = dt.datetime.now(dt.UTC)
    keep(
        *[report(function="large", memory_size_mb=1024, max_memory_used_mb=211.2, started_at=now) for _ in range(120)],
        *[report(function="few", memory_size_mb=512, max_memory_used_mb=30.0, started_at=now) for _ in range(3)],
        *[report(function="out", memory_size_mb=128, max_memory_used_mb=140.0, started_at=now,
                 outcome="Runtime.OutOfMemory")],
        report(function="unmeasured", max_memory_used_mb=None, started_at=now),
        report(function="long ago", started_at=now - dt.timedelta(days=50)),
    )  # fmt: skip
    told = fnframe("advise")
    assert told.returncode == 0, told.stderr
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in told.stdout.splitlines()[3:6]}
    assert lines == {
        "large": "1,024 MB 212 MB 212 MB 120 256 MB would save 67 %",
        "few": "512 MB 30 MB 30 MB 3 128 MB would save 60 % *",
        "out": "128 MB 140 MB 140 MB 1 1 ran out of it: 256 MB",
    }
    assert "long ago" not in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert "long ago" in fnframe("advise", "--days", "60").stdout
    assert fnframe("advise", "--days", "0").returncode == fnframe("advise", "--days", str(10**9)).returncode == 2


# Live.


def test_top_tells_once_where_it_is_no_terminal(fnframe, keep):
    now = dt.datetime.now(dt.UTC)
    keep(
        *[report(duration_ms=ms, started_at=now) for ms in range(1, 101)], report(outcome="ValueError", started_at=now)
    )
    told = fnframe("top", "--window", "3600")
    assert told.returncode == 0, told.stderr
    row = next(line for line in told.stdout.splitlines() if line.startswith("f ")).split()
    assert row[1:] == ["0.0", "1", "51", "ms", "100", "ms", "41/128", "MB", *row[-1:]]


def test_top_shows_what_happens_until_it_is_interrupted(shop, keep):
    keep(report(function="before", started_at=dt.datetime.now(dt.UTC)))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "top", "--interval", "0.1", "--window", "60"], cwd=shop, stdin=slave, stdout=slave, stderr=slave,
        env=ENVIRONMENT | {"TERM": "xterm", "LINES": "24"}, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )  # fmt: skip
    os.close(slave)
    seen = b""

    def read_until(text):
        nonlocal seen
        end = time.monotonic() + 20
        while text.encode() not in seen:
            assert time.monotonic() < end, seen.decode(errors="replace")
            if select.select([master], [], [], 0.5)[0]:
                try:
                    seen += os.read(master, 65536)
                except OSError:
                    break
        assert text.encode() in seen

    try:
        read_until("before")
        keep(*[report(function="appears", started_at=dt.datetime.now(dt.UTC)) for _ in range(60)])
        read_until("appears")
        seen = b""
        os.write(master, b"\x03")
        read_until("\x1b[?1049l")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_every_command_says_what_it_is_for(fnframe):
    for command in ("bill", "top", "advise"):
        told = fnframe(command, "--help")
        assert told.returncode == 0
        assert max(map(len, told.stdout.splitlines())) <= 80


def test_a_report_reads_back_from_json():
    """The stream of reports keeps them so."""
    for each in (report(), report(tenant="acme", provisioned=True, event_bytes=7)):
        assert msgspec.json.decode(msgspec.json.encode(each), type=type(each)) == each
