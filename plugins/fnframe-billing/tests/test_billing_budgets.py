"""Budgets: never passed by more than what was in flight, over restarts, hosts and changes of clocks."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import anyio
import msgspec
import pytest
from billing_reports import report
from fnframe_billing.book import find_book
from fnframe_billing.budgets import Budgets
from fnframe_billing.figures import usage_of
from fnframe_billing.ledger import Ledger
from fnframe_billing.schema import MEMORY
from fnframe_billing.scope import Calendar, Scope
from fnframe_billing.settings import Budget
from fnframe_billing.usage import Usage
from hypothesis import given
from hypothesis import strategies as st

from fnframe import ConfigurationError, Function, hookimpl
from fnframe.runtime.run import run_target

X86 = find_book("lambda-x86", None)
F = Function(name="f", where="", tags={"team": "web"})
NOW = dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC).timestamp()


class Time:
    """What the clock shows."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now

    def moment(self):
        return dt.datetime.fromtimestamp(self.now, dt.UTC)


def budgets(*declared, time=None, ledger=None):
    made = Budgets([Budget(**{"name": "b", "action": "stop"} | each) for each in declared], X86, time or Time())
    if ledger is not None:
        made.begin(ledger)
    return made


def flush(made, ledger, *reports):
    """As the writer does it."""
    made.written(reports, ledger.write(reports, budgets=made))


# What is spent.


def test_requests_are_counted():
    made = budgets({"requests": 3})
    for number in range(3):
        assert made.refusal(F, None) is None, number
        made.hear(report())
    assert made.refusal(F, None).reason == (
        "The budget 'b' is spent: 3 requests a month. It begins anew at 2026-12-01 00:00 UTC."
    )
    assert made.refusal(F, None).retry_after is None


def test_gb_seconds_are_counted():
    made = budgets({"gb_seconds": 2})
    made.hear(report(memory_size_mb=1024, duration_ms=1000, provisioned=True))
    made.hear(report(memory_size_mb=1024, duration_ms=998.5))
    assert made.refusal(F, None) is None
    made.hear(report(memory_size_mb=1024, duration_ms=0.5))
    assert made.refusal(F, None) is not None


def test_cost_is_counted_to_the_last_unit_at_list_price():
    made = budgets({"cost": Decimal("0.0000022833375")})
    made.hear(report(duration_ms=999))
    assert made.refusal(F, None) is None
    made = budgets({"cost": Decimal("0.0000022833375")})
    made.hear(report(duration_ms=1000))
    assert made.refusal(F, None).reason.startswith("The budget 'b' is spent: 0.0000022833375 USD a month.")


def test_a_budget_of_nothing_lets_nothing_in():
    assert budgets({"requests": 0}).refusal(F, None) is not None
    assert budgets({"cost": Decimal(0)}).refusal(F, None) is not None


def test_what_never_ran_takes_nothing():
    made = budgets({"requests": 1})
    made.hear(report(environment_id="", duration_ms=0.0, outcome="TooManyRequestsException"))
    assert made.refusal(F, None) is None


def test_throttling_tells_when_the_period_begins_anew():
    refusal = budgets({"requests": 0, "per": "day", "action": "throttle"}).refusal(F, None)
    assert refusal.retry_after == 12 * 3600


def test_a_warning_refuses_nothing_and_is_told_once(caplog):
    made = budgets({"requests": 2, "action": "warn"})
    assert not made.refuses
    for _ in range(5):
        made.hear(report())
    assert made.refusal(F, None) is None
    assert caplog.text.count("budget 'b' is spent: 2 requests a month of the app; nothing is refused") == 1


# Of whom.


@pytest.mark.parametrize(
    ("scope", "mine", "other"),
    [
        ({}, {}, None),
        ({"function": "f"}, {}, {"function": "g"}),
        ({"tenant": "acme"}, {"tenant": "acme"}, {"tenant": "zeta"}),
        ({"tenant": "acme"}, {"tenant": "acme"}, {"tenant": None}),
        ({"tag": "team=web"}, {"tags": {"team": "web", "a": "b"}}, {"tags": {"team": "db"}}),
        ({"tag": "team=web"}, {"tags": {"team": "web"}}, {"tags": {}}),
    ],
)
def test_a_budget_is_for_those_it_names(scope, mine, other):
    made = budgets({"requests": 1, **scope})

    def refusal(function="f", tenant=None, tags=None):
        return made.refusal(Function(name=function, where="", tags=tags or {}), tenant)

    if other is not None:
        made.hear(report(**other))
        assert refusal(**mine) is None
    made.hear(report(**mine))
    assert refusal(**mine) is not None
    if other is not None:
        assert refusal(**other) is None


@pytest.mark.parametrize(
    ("scope", "field"), [({"function": "*"}, "function"), ({"tenant": "*"}, "tenant"), ({"tag": "team=*"}, "tags")]
)
def test_a_budget_may_be_for_each_by_itself(scope, field):
    made = budgets({"requests": 2, **scope})
    one, two = ({"team": "one"}, {"team": "two"}) if field == "tags" else ("one", "two")

    def refusal(value):
        tenant = value if field == "tenant" else None
        return made.refusal(
            Function(name=value if field == "function" else "f", where="", tags=value if field == "tags" else {}),
            tenant,
        )

    for value in (one, two, one):
        made.hear(report(**{field: value}))
    assert refusal(one) is not None
    assert refusal(two) is None
    if field != "function":
        assert refusal({} if field == "tags" else None) is None


def test_one_scope_may_have_several_budgets(caplog):
    made = budgets(
        {"name": "soon", "requests": 1, "action": "warn"},
        {"name": "all", "requests": 2},
        {"name": "money", "cost": Decimal(100), "tenant": "acme"},
    )
    assert len(made.accounts) == 2
    made.hear(report(tenant="acme"))
    assert made.refusal(F, "acme") is None
    made.hear(report())
    assert "'all'" in made.refusal(F, "acme").reason
    assert "'soon' is spent" in caplog.text


# When.


def test_a_period_begins_at_midnight_in_its_zone():
    time = Time(dt.datetime(2026, 11, 30, 22, 59, tzinfo=dt.UTC).timestamp())
    berlin, utc = {"timezone": "Europe/Berlin"}, {}
    for zone, after in ((berlin, 61), (utc, 3661)):
        time.now = dt.datetime(2026, 11, 30, 22, 59, tzinfo=dt.UTC).timestamp()
        made = budgets({"requests": 1, **zone}, time=time)
        made.hear(report(started_at=time.moment()))
        assert made.refusal(F, None) is not None
        time.now += after - 2
        assert made.refusal(F, None) is not None
        time.now += 2
        assert made.refusal(F, None) is None


@given(
    st.floats(0, 4e9),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia", "America/Havana", "Asia/Beirut"]),
    st.sampled_from(["day", "month"]),
)
def test_each_moment_lies_in_one_period_that_begins_with_its_day_or_month(moment, zone, per):
    calendar = Calendar(Scope("app", "", "", per, zone))
    period = calendar.period(moment)
    assert period.begin <= moment < period.end
    here = dt.datetime.fromtimestamp(period.begin, ZoneInfo(zone))
    before = dt.datetime.fromtimestamp(period.begin - 1, ZoneInfo(zone))
    assert (here.year, here.month, here.day if per == "day" else 1) != (
        before.year, before.month, before.day if per == "day" else 1,
    )  # fmt: skip
    assert calendar.period(period.end) == Calendar(Scope("app", "", "", per, zone)).period(period.end)
    assert calendar.period(period.begin) == period
    assert calendar.period(period.end - 1) == period


@given(st.floats(dt.datetime(2020, 1, 1).timestamp(), 4e9), st.sampled_from(sorted(available_timezones())))
def test_days_begin_with_a_quarter_of_an_hour(moment, zone):
    """What is new in the ledger is summed up by them."""
    assert Calendar(Scope("app", "", "", "day", zone)).period(moment).begin % 900 == 0


def test_a_clock_that_steps_back_finds_what_was_spent_then():
    time = Time()
    made = budgets({"requests": 1, "per": "day"}, time=time)
    made.hear(report(started_at=time.moment()))
    assert made.refusal(F, None) is not None
    time.now += 86_400
    assert made.refusal(F, None) is None
    time.now -= 86_400
    assert made.refusal(F, None) is not None


def test_an_invocation_counts_when_it_began():
    time = Time(dt.datetime(2026, 12, 1, 0, 0, 5, tzinfo=dt.UTC).timestamp())
    made = budgets({"requests": 1}, time=time)
    made.hear(report(started_at=time.moment() - dt.timedelta(seconds=10)))
    assert made.refusal(F, None) is None


# Over restarts, and with others.


def test_what_was_spent_outlives_the_process(tmp_path):
    for number in range(4):
        with Ledger(tmp_path / "ledger.db") as ledger:
            made = budgets({"requests": 3, "tenant": "*"}, ledger=ledger)
            assert (made.refusal(F, "acme") is None) == (number < 3)
            if number < 3:
                made.hear(each := report(tenant="acme"))
                flush(made, ledger, each)


def test_who_changes_a_limit_goes_on_with_what_was_spent(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        made = budgets({"requests": 3}, ledger=ledger)
        for _ in range(3):
            made.hear(each := report())
            flush(made, ledger, each)
        assert budgets({"name": "other", "requests": 4}, ledger=ledger).refusal(F, None) is None
        assert budgets({"requests": 4, "per": "day"}, ledger=ledger).refusal(F, None) is None
        assert budgets({"gb_seconds": 0}, ledger=ledger).refusal(F, None) is not None
        assert budgets({"cost": Decimal("0.0000006")}, ledger=ledger).refusal(F, None) is not None


@pytest.mark.parametrize(
    "scope",
    [
        {},
        {"function": "f"},
        {"function": "*"},
        {"tenant": "acme"},
        {"tenant": "*"},
        {"tag": "team=web"},
        {"tag": "team=*"},
    ],
)
def test_a_budget_that_is_new_counts_what_the_ledger_has(scope):
    with Ledger(MEMORY) as ledger:
        mine = {"tenant": "acme", "tags": {"team": "web"}}
        early = dt.datetime(2026, 10, 31, 23, 59, tzinfo=dt.UTC)
        ledger.write([report(**mine), report(**mine), report(started_at=early, **mine), report(function="g")])
        assert budgets({"requests": 4, **scope}, ledger=ledger).refusal(F, "acme") is None
        made = budgets({"requests": 2, **scope}, ledger=ledger)
        assert made.refusal(F, "acme") is not None
        assert budgets({"requests": 2, "per": "day", "tenant": "nobody"}, ledger=ledger).refusal(F, "nobody") is None


def test_a_budget_that_was_away_counts_what_was_used_meanwhile(tmp_path):
    """What was spent before had been kept, and what nobody counted then was free."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        made = budgets({"requests": 3}, ledger=ledger)
        made.hear(each := report())
        flush(made, ledger, each)
        ledger.write([report(), report()])
        assert made.refusal(F, None) is None
        assert budgets({"requests": 3}, ledger=ledger).refusal(F, None) is not None


@pytest.mark.parametrize("scope", [{}, {"function": "*"}, {"tag": "team=web"}])
def test_a_day_that_begins_within_an_hour_counts_from_there(scope):
    """In Kolkata it begins at 18:30 UTC."""
    midnight = dt.datetime(2026, 11, 3, 18, 30, tzinfo=dt.UTC)
    time = Time(midnight.timestamp() + 3600)
    declared = {"requests": 3, "per": "day", "timezone": "Asia/Kolkata", **scope}
    moments = [midnight + dt.timedelta(milliseconds=ms) for ms in (-1_800_000, -1, 0, 1_799_999, 1_800_000)]
    with Ledger(MEMORY) as ledger:
        ledger.write([report(started_at=moment, tags={"team": "web"}) for moment in moments[:4]])
        assert budgets(declared, time=time, ledger=ledger).refusal(F, None) is None
        ledger.write([report(started_at=moments[4], tags={"team": "web"})])
        assert budgets(declared, time=time, ledger=ledger).refusal(F, None) is not None
    warm = Function(name="f", where="", memory=1024, provisioned_concurrency=1, tags={"team": "web"})
    with Ledger(MEMORY) as ledger:
        for moment in moments[1:4]:
            ledger.reserve("run", [warm], "node", int(moment.timestamp() * 1000), 1000)
        spent = budgets({**declared, "requests": None, "cost": Decimal(1)}, time=time, ledger=ledger).accounts[0]
        (account,) = spent._accounts.values()
        assert account.taken(0) == spent.limits[0].taken(Usage(reserved_mb_ms=2 * 1024 * 1000))


def test_an_attempt_that_was_interrupted_counts_once_when_it_is_done():
    made = budgets({"requests": 2})
    each = report(invocation_type="asynchronous")
    for _ in range(3):
        made.hear(each)
    assert made.refusal(F, None) is None
    made.hear(report())
    assert made.refusal(F, None) is not None


def test_hosts_that_share_a_ledger_learn_of_each_other(tmp_path):
    with Ledger(tmp_path / "ledger.db") as one, Ledger(tmp_path / "ledger.db") as two:
        here, there = (budgets({"requests": 4}, ledger=ledger) for ledger in (one, two))
        for _ in range(3):
            here.hear(each := report())
            flush(here, one, each)
        assert there.refusal(F, None) is None
        there.hear(each := report())
        flush(there, two, each)
        assert there.refusal(F, None) is not None
        assert here.refusal(F, None) is None
        here.hear(each := report())
        flush(here, one, each)
        assert here.refusal(F, None) is not None


counted = st.lists(st.tuples(st.integers(1, 5000), st.sampled_from(["a", "b", None]), st.booleans()), max_size=30)


@given(counted, st.integers(0, 20))
def test_accounts_are_sums_whatever_was_written_when(invocations, most):
    with Ledger(MEMORY) as ledger:
        made = budgets({"requests": most, "tenant": "*"}, {"cost": Decimal(1), "tenant": "*"}, ledger=ledger)
        count = {"a": 0, "b": 0}
        waiting = []
        for duration, tenant, write in invocations:
            if tenant is not None:
                assert (made.refusal(F, tenant) is None) == (count[tenant] < most)
                count[tenant] += 1
            waiting.append(each := report(duration_ms=duration, tenant=tenant))
            made.hear(each)
            if write:
                flush(made, ledger, *waiting)
                waiting = []
        flush(made, ledger, *waiting)
        again = budgets({"requests": most, "tenant": "*"}, {"cost": Decimal(1), "tenant": "*"}, ledger=ledger)
        for tenant in ("a", "b"):
            assert (again.refusal(F, tenant) is None) == (count[tenant] < most)
            taken = [limit.taken for limit in made.accounts[0].limits]
            expected = [
                sum(
                    of(usage_of(report(duration_ms=ms), init_billed=True))
                    for ms, who, _ in invocations
                    if who == tenant
                )
                for of in taken
            ]
            for each in (made, again):
                account = [a for key, a in each.accounts[0]._accounts.items() if key.subject == tenant]
                assert [[a.taken(n) for n in range(len(taken))] for a in account] == ([expected] if account else [])


def test_tenants_without_end_are_forgotten_and_learned_again(monkeypatch):
    monkeypatch.setattr("fnframe_billing.budgets.MOST_ACCOUNTS", 10)
    with Ledger(MEMORY) as ledger:
        made = budgets({"requests": 2, "tenant": "*"}, ledger=ledger)
        for number in range(100):
            made.hear(each := report(tenant=f"t{number}"))
            flush(made, ledger, each)
            assert len(made.accounts[0]._accounts) <= 11
        made.hear(each := report(tenant="t0"))
        flush(made, ledger, each)
        assert made.refusal(F, "t0") is not None


# Declared in fnframe.toml.


@pytest.fixture
def shop(kit, tmp_path):
    return str(shutil.copy(kit.SHOP, tmp_path / "shop.py"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("requests = 5\ngb_seconds = 3", "the budget 'b' needs one of requests, gb_seconds and cost, has 2"),
        ("", "the budget 'b' needs one of requests, gb_seconds and cost, has 0"),
        ("requests = -1", r"billing.budgets\[0\].requests: expected `int` >= 0, found -1$"),
        ("cost = -0.5", r"billing.budgets\[0\]: the budget 'b': cost must not be negative, found -0.5$"),
        ('requests = "5"', r"billing.budgets\[0\].requests: expected `int \| null`, found '5'$"),
        ("requests = 5\nper = 'week'", r"\.per: expected one of 'day', 'month', found 'week'$"),
        ("requests = 5\naction = 'kill'", "action: expected one of 'warn', 'throttle', 'stop', found 'kill'$"),
        ("requests = 5\ntimezone = 'Berlin'", "timezone must be an IANA name such as 'Europe/Berlin', found 'Berlin'"),
        ("requests = 5\ntimezone = '../../etc/passwd'", "timezone must be an IANA name"),
        ("requests = 5\ntag = 'team'", "tag must be 'NAME=VALUE' or 'NAME=\\*', found 'team'"),
        ("requests = 5\ntenant = 'a'\nfunction = 'f'", "must have at most one of function, tenant and tag"),
        ("requests = 5\ntenent = 'a'", "unknown field `tenent`"),
        ("requests = 5\n[[billing.budgets]]\nname = 'b'\nrequests = 6", "two budgets have the name 'b'"),
    ],
)
async def test_a_budget_that_cannot_be_is_told_at_its_line(shop, tmp_path, toml, problem):
    (tmp_path / "fnframe.toml").write_text(f"[[billing.budgets]]\nname = 'b'\n{toml}\n")
    with pytest.raises(ConfigurationError, match=f"(?i){problem}") as raised:
        async with run_target(shop):
            pass
    assert raised.value.where == f"{tmp_path / 'fnframe.toml'}:1"


@pytest.mark.anyio
async def test_a_function_that_does_not_exist_is_told(shop, caplog):
    declared = [{"name": "b", "requests": 5, "function": "oder"}]
    with pytest.raises(
        ConfigurationError, match=r"the budget 'b' is for the function 'oder', which .*did you mean 'order'"
    ):
        async with run_target(shop, settings={"billing.budgets": declared}):
            pass


# In a running app.


@pytest.mark.anyio
async def test_64_callers_pass_a_budget_by_no_more_than_was_in_flight(shop, tmp_path):
    allowed, refused = [], []
    declared = [{"name": "b", "requests": 100, "action": "throttle"}]
    for _ in range(2):
        async with run_target(shop, settings={"billing.budgets": declared, "max_environments": 4}) as running:

            async def call(running=running):
                while len(refused) % 64 != 63:
                    outcome = await running.invoke("order", {"customer": "a"})
                    if outcome.report.outcome == "success":
                        allowed.append(outcome)
                        continue
                    assert outcome.error_type == "TooManyRequestsException"
                    assert outcome.retry_after > 0
                    refused.append(outcome)
                    return

            async with anyio.create_task_group() as tasks:
                for _ in range(64):
                    tasks.start_soon(call)
        assert 100 <= len(allowed) <= 164, "the second run finds it spent"


@pytest.mark.anyio
async def test_a_tenant_whose_budget_is_spent_waits_or_fails_while_others_go_on(shop, tmp_path):
    settled = []

    class Settled:
        @hookimpl
        def fnframe_event_settled(self, event, outcome):
            settled.append((msgspec.json.decode(event.data)["customer"], outcome.report.outcome))

    declared = [{"name": "each", "requests": 1, "tenant": "*", "action": "stop"}]
    async with run_target(shop, plugins=[Settled()], settings={"billing.budgets": declared}) as running:
        for customer in ("acme", "zeta"):
            assert (await running.invoke("order", {"customer": customer})).unwrap()
        stopped = await running.invoke("order", {"customer": "acme"})
        assert (stopped.kind, stopped.error_type, stopped.retry_after) == ("rejected", "Invocation.Refused", None)
        await running.enqueue("order", {"customer": "acme"})
        await running.enqueue("order", {"customer": "new"})
        await running.drained()
        assert sorted(settled) == [("acme", "Invocation.Refused"), ("new", "success")]
        assert (await running.billing.summary("tenant")).usage.invocations == 3


@pytest.mark.anyio
async def test_a_warning_of_a_budget_is_in_the_log(shop, caplog):
    caplog.set_level(logging.WARNING, "fnframe.billing")
    declared = [{"name": "b", "cost": "0.0000001", "function": "order"}]
    async with run_target(shop, settings={"billing.budgets": declared}) as running:
        for _ in range(3):
            (await running.invoke("order", {})).unwrap()
    assert caplog.text.count("budget 'b' is spent: 1E-7 USD a month of function 'order'; nothing is refused") == 1
