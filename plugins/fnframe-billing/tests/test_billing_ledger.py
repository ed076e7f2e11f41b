"""The ledger: each invocation once, in whole numbers, and the bill once more from its rows, slowly."""

from __future__ import annotations

import datetime as dt
import os
import threading
from decimal import ROUND_CEILING, Decimal

import apsw
import msgspec
import pytest
from billing_reports import NOON, report, reports
from fnframe_billing.bill import make_bill
from fnframe_billing.book import find_book
from fnframe_billing.budgets import Budgets
from fnframe_billing.figures import usage_of
from fnframe_billing.hours import cells, extent
from fnframe_billing.ledger import Ledger, Position, Reading, Spent
from fnframe_billing.schema import MEMORY, VERSION
from fnframe_billing.settings import Budget
from fnframe_billing.usage import Usage
from hypothesis import given
from hypothesis import strategies as st
from slow_bill import slow_bill

from fnframe import ConfigurationError, Function

BEGIN, END = dt.date(2026, 9, 1), dt.date(2027, 1, 1)
X86 = find_book("lambda-x86", None)


@pytest.fixture
def ledger():
    with Ledger(MEMORY) as ledger:
        yield ledger


def rows(ledger, query, *values):
    connection = ledger.reader()
    found = connection.execute(query, values).fetchall()
    connection.close()
    return found


def used(ledger, by="function", **options):
    connection = ledger.reader()
    found = {}
    for cell in cells(connection, BEGIN, END, by=by, **options):
        found[cell.group] = found.get(cell.group, Usage()) + cell.usage
    connection.close()
    return found


def test_a_row_holds_what_was_measured_in_whole_numbers(ledger):
    ledger.write(
        [report(request_id="r", attempt=2, duration_ms=3.0101, init_duration_ms=110.1, queued_ms=1.5, trace_id="t")]
    )
    assert rows(ledger, "SELECT * FROM invocations") == [
        (1, "r", 2, 1, int(NOON.timestamp() * 1000), 1500, 110_100, 3010, 1, 41_472, 12_500, "t")
    ]
    assert rows(ledger, "SELECT function, trigger, memory_mb, tags FROM kinds") == [("f", "direct", 128, "{}")]
    for table in ("invocations", "hourly", "kinds", "reservations", "spent"):
        types = dict(rows(ledger, "SELECT name, type FROM pragma_table_info(?)", table))
        assert set(types.values()) <= {"INTEGER", "TEXT"}


@pytest.mark.parametrize(
    ("duration", "init", "billed"),
    [
        (600_000.00, 476.75, 600_477), (133.61, 80.00, 214), (3016.78, 84.00, 3101), (1293.83, 1049.63, 2344),
        (3.01, 110.10, 114), (100.0, None, 100), (100.001, None, 101), (0.0, None, 1), (0.4, 0.5, 1),
    ],
)  # fmt: skip
def test_billed_time_is_rounded_up_once_with_the_cold_start_in_it(ledger, duration, init, billed):
    """Lines of real Lambda logs of after August 2025, and the smallest of all."""
    ledger.write([report(duration_ms=duration, init_duration_ms=init)])
    assert used(ledger)["f"].mb_ms == 128 * billed
    without = max(1, -int(-Decimal(str(duration)).to_integral_value(ROUND_CEILING) // 1))
    assert used(ledger, init_billed=False)["f"].mb_ms == 128 * without


def test_what_never_ran_is_not_billed(ledger):
    throttled = report(environment_id="", duration_ms=0.0, outcome="TooManyRequestsException", cpu_ms=None)
    ledger.write([throttled, report(outcome="ValueError"), report(outcome="Sandbox.Timedout", environment_id="")])
    assert rows(ledger, "SELECT count(*) FROM invocations") == [(2,)]
    assert (used(ledger)["f"].invocations, used(ledger)["f"].failures) == (2, 2)


def test_a_large_asynchronous_event_is_several_requests(ledger):
    for size, requests in ((0, 1), (256 * 1024, 1), (256 * 1024 + 1, 2), (320 * 1024, 2), (1024 * 1024, 13)):
        assert usage_of(report(invocation_type="asynchronous", event_bytes=size), init_billed=True).requests == requests
        assert usage_of(report(event_bytes=size), init_billed=True).requests == 1


@given(st.lists(reports, max_size=12), st.data())
def test_each_is_kept_once_whoever_brings_it_again(found, data):
    with Ledger(MEMORY) as ledger:
        ledger.write(found)
        before = rows(ledger, "SELECT * FROM invocations ORDER BY id"), used(ledger)
        again = data.draw(st.lists(st.sampled_from(found))) if found else []
        ledger.write([*again, *again])
        assert (rows(ledger, "SELECT * FROM invocations ORDER BY id"), used(ledger)) == before
        others = [msgspec.structs.replace(each, request_id=f"other {each.request_id}") for each in again[:1]]
        ledger.write([*again, *others])
        added = [each for each in others if usage_of(each, init_billed=True).invocations]
        assert len(rows(ledger, "SELECT * FROM invocations")) == len(before[0]) + len(added)


# The bill from its rows.


@given(st.lists(reports, max_size=25), st.sampled_from(["lambda-x86", "lambda-arm", "own-machine"]), st.booleans())
def test_the_bill_is_what_its_rows_say(found, name, free_tier):
    book = find_book(name, None)
    warm = Function(name="warm", where="", memory=1536, provisioned_concurrency=3)
    with Ledger(MEMORY) as ledger:
        ledger.write(found)
        ledger.reserve("run", [warm], "node", int(NOON.timestamp() * 1000), 300_000)
        connection = ledger.reader()
        expected = slow_bill(connection, book, free_tier)
        for by in ("function", "trigger", "tenant", "tag", "tag:team", "day", "memory", "outcome"):
            counted = cells(connection, BEGIN, END, by=by, init_billed=book.init_billed)
            bill = make_bill(book, counted, BEGIN, END, by=by, free_tier=free_tier)
            assert bill.cost == expected
            assert sum(line.cost for line in bill.lines) == expected
        connection.close()


@given(st.lists(reports, max_size=8))
def test_what_one_report_uses_is_what_the_ledger_sums_up(found):
    found = list({(each.request_id, each.attempt): each for each in found}.values())
    for init_billed in (True, False):
        with Ledger(MEMORY) as ledger:
            ledger.write(found)
            expected = {}
            for each in found:
                usage = usage_of(each, init_billed=init_billed)
                if usage.invocations:
                    expected[each.function] = expected.get(each.function, Usage()) + usage
            assert used(ledger, init_billed=init_billed) == expected


def test_groups_have_names(ledger):
    ledger.write([report(tags={"team": "web", "a": "b"}, tenant="acme"), report(function="g", memory_size_mb=256)])
    assert set(used(ledger)) == {"f", "g"}
    assert set(used(ledger, "tenant")) == {"acme", "(no tenant)"}
    assert set(used(ledger, "tag")) == {"a=b team=web", "(no tags)"}
    assert set(used(ledger, "tag:team")) == {"web", "(no team)"}
    ledger.write([report(function="g", memory_size_mb=256, tags={"$.team": "path", "0": "zero"})])
    for name, values in {'x."y': set(), "$x": set(), "$": set(), "$.team": {"path"}, "0": {"zero"}}.items():
        assert set(used(ledger, f"tag:{name}")) == values | {f"(no {name})"}
    assert set(used(ledger, "day")) == {"2026-11-03"}
    assert set(used(ledger, "memory")) == {"128 MB", "256 MB"}
    with pytest.raises(ConfigurationError, match="not by 'functoin', did you mean 'function'"):
        used(ledger, "functoin")


# Warm environments.


def test_warm_environments_are_billed_once_for_a_run_and_a_beginning(ledger):
    function = Function(name="warm", where="", memory=1536, provisioned_concurrency=100, tags={"team": "web"})
    begun = int(NOON.timestamp() * 1000)
    for run in ("one", "one", "two"):
        ledger.reserve(run, [function], "node", begun, 300_000)
    usage = used(ledger)["warm"]
    assert usage == Usage(reserved_mb_ms=2 * 100 * 1536 * 300_000)
    assert set(used(ledger, "tag:team")) == {"web"}


# Readers of streams.


def test_what_is_read_is_kept_with_how_far_the_reader_is(ledger):
    reading = Reading("reports", Position(), Position(2, "b"))
    ledger.write([report(), report()], reading)
    assert ledger.position("reports") == (2, "b")
    ledger.write([report()], reading)
    assert used(ledger)["f"].invocations == 2


def test_a_step_that_fails_leaves_nothing(ledger):
    ledger.write([report(function="before")])
    unfit = report(function="new", request_id=object())
    with pytest.raises(TypeError):
        ledger.write([report(function="new"), unfit], Reading("reports", Position(), Position(1, "a")))
    assert ledger.position("reports") == (0, "")
    ledger.write([report(function="new")])
    assert {name: usage.invocations for name, usage in used(ledger).items()} == {"before": 1, "new": 1}


# Bursts.


@given(st.lists(st.lists(reports, min_size=1, max_size=8), max_size=4), st.data())
def test_a_burst_becomes_the_rows_that_it_would_have_been(steps, data):
    with Ledger(MEMORY) as at_once, Ledger(MEMORY) as later:
        for found in steps:
            at_once.write(found)
            assert later.put_off(found)
            if data.draw(st.booleans()):
                later.settle()
        found = [rows(ledger, "SELECT * FROM invocations ORDER BY id") for ledger in (at_once, later)]
        assert found[0] == found[1]
        assert used(at_once) == used(later)
        assert rows(later, "SELECT * FROM bursts") == []


def test_what_is_in_a_burst_and_in_a_row_is_kept_once(ledger):
    first, second = report(), report()
    ledger.put_off([first, second, second])
    ledger.write([second])
    ledger.put_off([first])
    assert used(ledger)["f"].invocations == 2
    assert rows(ledger, "SELECT count(*) FROM invocations") == [(2,)]


def test_one_of_a_burst_that_cannot_be_kept_takes_no_other_along(ledger, caplog):
    ledger.put_off([report(), report(request_id="odd", duration_ms=float("nan")), report()])
    assert used(ledger)["f"].invocations == 2
    assert "request odd of function 'f' is not billed, since it cannot be written: ValueError" in caplog.text
    assert rows(ledger, "SELECT * FROM bursts") == []


def test_bursts_of_a_process_that_is_gone_are_in_the_bill(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.write([report()])
        ledger.put_off([report(), report()])
    other = Ledger(tmp_path / "ledger.db")
    assert used(other)["f"].invocations == 3
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.put_off([report(started_at=NOON + dt.timedelta(minutes=5))])
        scope = Budgets([Budget(name="b", requests=9)], X86).accounts[0].scope
        assert ledger.accounts(scope, int(NOON.timestamp()) - 60, True)[""].requests == 4


def test_where_rows_cannot_be_made_of_a_burst_no_wrong_sum_is_told(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.put_off([report()])
        full = "CREATE TRIGGER full BEFORE INSERT ON invocations BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        apsw.Connection(str(tmp_path / "ledger.db")).execute(full)
        with pytest.raises(ConfigurationError, match=r"wait in this ledger to be summed up, .* disk is full"):
            ledger.reader()
        apsw.Connection(str(tmp_path / "ledger.db")).execute("UPDATE bursts SET body = x'91'")
        with pytest.raises(ConfigurationError, match="wait in this ledger to be summed up, and cannot be read"):
            ledger.reader()


def test_no_more_than_a_bill_can_wait_for_is_put_off(ledger, monkeypatch):
    monkeypatch.setattr("fnframe_billing.ledger.MOST_WAITING", 3)
    assert ledger.put_off([report(), report()])
    assert not ledger.put_off([report(), report()])
    assert ledger.put_off([report()])
    assert used(ledger)["f"].invocations == 3
    assert ledger.put_off([report(), report()])


def test_who_writes_meanwhile_keeps_no_reader_waiting(tmp_path):
    """A reader made rows of bursts as long as others brought more."""
    with Ledger(tmp_path / "ledger.db") as ledger, Ledger(tmp_path / "ledger.db") as other:
        ledger.put_off([report()])
        until = other.reader()
        ledger.put_off([report()])
        assert not other.settle(1), "the first one is a row"
        assert other.settle()
        until.close()


# Budgets.


def test_what_is_spent_is_summed_over_processes_of_what_is_new(tmp_path):
    budgets = Budgets([Budget(name="b", requests=1, tenant="*")], X86)
    acme, zeta, more = (report(tenant=name) for name in ("acme", "zeta", "acme"))

    def spent(*reports):
        key = Spent(
            "tenant =* per month in UTC", reports[0].tenant, int(dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp())
        )
        return {key: sum((usage_of(each, init_billed=True) for each in reports), Usage())}

    with Ledger(tmp_path / "ledger.db") as one, Ledger(tmp_path / "ledger.db") as two:
        assert one.write([acme, acme], budgets=budgets) == spent(acme)
        assert two.write([acme, zeta], budgets=budgets) == spent(zeta)
        assert two.write([more, zeta], budgets=budgets) == spent(acme, more)
        assert one.spent([*spent(acme), *spent(zeta)]) == spent(acme, more) | spent(zeta)


@given(st.lists(reports, max_size=12), st.data())
def test_an_account_is_what_a_start_sums_up(found, data):
    """Whatever came in which step, and for whichever days and months."""
    declared = [
        Budget(name=str(number), requests=1, **scope)
        for number, scope in enumerate(
            [{}, {"function": "*", "per": "day"}, {"tenant": "*"}, {"tag": "team=web", "timezone": "Asia/Kolkata"}]
        )
    ]
    budgets = Budgets(declared, X86)
    with Ledger(MEMORY) as ledger:
        while found:
            size = data.draw(st.integers(1, len(found)))
            ledger.write(found[:size], budgets=budgets)
            found = found[size:]
        for accounts in budgets.accounts:
            spent = rows(ledger, "SELECT * FROM spent WHERE budget = ?", accounts.name)
            if spent:
                last = max(row[2] for row in spent)
                expected = {row[1]: Usage(*row[3:]) for row in spent if row[2] == last}
                assert ledger.accounts(accounts.scope, last, True) == expected


# The file.


def test_who_only_asks_leaves_nothing(tmp_path):
    with Ledger(tmp_path / "in" / "ledger.db") as ledger:
        assert not ledger.exists()
        assert ledger.position("reports") == (0, "")
    assert not (tmp_path / "in").exists()


def test_it_is_read_beside_whoever_writes_it_and_after(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.write([report()])
        assert used(ledger)["f"].invocations == 1
        reader = Ledger(tmp_path / "ledger.db")
        assert used(reader)["f"].invocations == 1
    (tmp_path / "ledger.db").chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert used(reader)["f"].invocations == 1
    finally:
        tmp_path.chmod(0o755)


def test_nobody_else_may_read_it(tmp_path):
    before = os.umask(0)
    try:
        with Ledger(tmp_path / "ledger.db") as ledger:
            ledger.write([report()])
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["ledger.db", "ledger.db-wal", "ledger.db-shm"], 0o600)


def test_two_processes_may_write_at_once(tmp_path):
    ledgers = [Ledger(tmp_path / "ledger.db") for _ in range(4)]

    def write(ledger):
        for _ in range(25):
            ledger.write([report(tenant=str(id(ledger)))])

    threads = [threading.Thread(target=write, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used(ledgers[0])["f"].invocations == 100
    for ledger in ledgers:
        ledger.close()


def test_a_ledger_of_a_newer_release_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.write([report()])
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", VERSION + 1)
    connection.close()
    before = path.read_bytes()
    for use in (lambda: Ledger(path).reader(), lambda: Ledger(path).write([report()])):
        with pytest.raises(ConfigurationError, match=rf"has the form {VERSION + 1}.*a newer one wrote it") as raised:
            use()
        assert raised.value.where == str(path)
    assert path.read_bytes() == before


def test_what_is_no_ledger_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_text("my shopping list" * 100)
    with pytest.raises(ConfigurationError, match=r"cannot be written: .*not a database"):
        Ledger(path).write([report()])
    with pytest.raises(ConfigurationError, match=r"cannot be read: .*not a database. Put a copy in its place"):
        Ledger(path).reader()
    path.unlink()
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    before = path.read_bytes()
    for use in (lambda: Ledger(path).reader(), lambda: Ledger(path).write([report()])):
        with pytest.raises(ConfigurationError, match="this is no ledger of fnframe-billing"):
            use()
    assert path.read_bytes() == before
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Ledger(tmp_path / "ledger.db" / "below").write([report()])


# What is forgotten.


def test_old_rows_are_forgotten_and_their_sums_are_not(ledger):
    old = [report(started_at=NOON - dt.timedelta(days=90 - n)) for n in range(5)]
    ledger.write([*old, report(), report()])
    before = used(ledger)
    assert ledger.prune(int(NOON.timestamp() * 1000) - 1, keep_from=3) == 2
    assert ledger.prune(int(NOON.timestamp() * 1000) - 1) == 3
    assert ledger.prune(int(NOON.timestamp() * 1000) - 1) == 0
    assert [row for (row,) in rows(ledger, "SELECT id FROM invocations")] == [6, 7]
    assert used(ledger) == before
    ledger.prune(int(NOON.timestamp() * 1000) + 1)
    ledger.write([report()])
    assert rows(ledger, "SELECT id FROM invocations") == [(8,)], "who reads by id must not meet one again"


def test_a_clock_that_steps_back_writes_into_hours_that_are_there(ledger):
    moments = [NOON, NOON + dt.timedelta(hours=1), NOON - dt.timedelta(days=40), NOON]
    ledger.write([report(started_at=moment) for moment in moments])
    ledger.write([report(started_at=moment) for moment in reversed(moments)])
    connection = ledger.reader()
    days = {cell.day: cell.usage.invocations for cell in cells(connection, BEGIN, END)}
    assert days == {dt.date(2026, 9, 24): 2, dt.date(2026, 11, 3): 6}
    assert extent(connection) == (dt.date(2026, 9, 24), dt.date(2026, 11, 3))
    bill = make_bill(X86, cells(connection, BEGIN, END), BEGIN, END, by="function")
    assert bill.usage.invocations == 8
    connection.close()


def test_an_empty_ledger_has_no_days(ledger):
    connection = ledger.reader()
    assert extent(connection) is None
    assert list(cells(connection, BEGIN, END)) == []
    connection.close()
