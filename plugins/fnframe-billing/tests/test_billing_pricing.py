"""What a month costs: the figures that AWS publishes, and the same arithmetic once more, slowly."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from fnframe_billing.bill import Cell, make_bill
from fnframe_billing.book import Price, PriceBook, Tier, find_book
from fnframe_billing.money import decimal
from fnframe_billing.pricing import FREE, charges, list_price
from fnframe_billing.usage import GB_S, METERS, Usage
from hypothesis import given
from hypothesis import strategies as st

X86 = find_book("lambda-x86", None)
ARM = find_book("lambda-arm", None)


def invoked(times, ms, mb, **more):
    return Usage(invocations=times, requests=times, mb_ms=times * ms * mb, **more)


def cost(book, usage, free_tier=False):
    found = charges(book, usage, free_tier=free_tier)
    by_meter = {}
    for charge in found:
        by_meter[charge.meter] = by_meter.get(charge.meter, 0) + decimal(charge.cost)
    return by_meter


M = 1_000_000


@pytest.mark.parametrize(
    ("book", "usage", "free_tier", "compute", "requests"),
    [
        (X86, invoked(M, 1000, 128), False, "2.0833375", "0.20"),
        (ARM, invoked(M, 1000, 128), False, "1.666675", "0.20"),
        (X86, invoked(M, 1000, 128), True, "0", "0"),
        (X86, invoked(M, 100, 128), False, "0.20833375", "0.20"),
        (X86, invoked(3 * M, 1000, 512), False, "25.00005", "0.60"),
        (X86, invoked(3 * M, 1000, 512), True, "18.33337", "0.40"),
        (X86, invoked(3 * M, 120, 1536), False, "9.000018", "0.60"),
        (X86, invoked(3 * M, 120, 1536), True, "2.333338", "0.40"),
        # A cold start of 3.01 + 110.10 ms.
        (X86, invoked(1, 114, 128), False, "0.000000237500", "0.0000002"),
        (X86, Usage(mb_ms=10 * 10**9 * GB_S), False, "160000.20", "0"),
        (X86, Usage(mb_ms=20 * 10**9 * GB_S), False, "301667.20", "0"),
        (X86, Usage(mb_ms=(6 * 10**9 + 400_000) * GB_S), True, "100000.20", "0"),
        (ARM, Usage(mb_ms=20 * 10**9 * GB_S), False, "248335.00", "0"),
    ],
)
def test_published_examples(book, usage, free_tier, compute, requests):
    found = cost(book, usage, free_tier)
    assert found.get("compute", 0) == Decimal(compute)
    assert found.get("requests", 0) == Decimal(requests)


def test_published_examples_of_storage_and_provisioned_concurrency():
    storage = Usage(storage_mb_ms=1_500_000 * 120 * (5120 - 512))
    assert cost(X86, storage) == {"storage": Decimal("0.025029")}
    reserved = Usage(reserved_mb_ms=100 * 1536 * 4 * 3600 * 1000)
    assert cost(X86, reserved) == {"provisioned": Decimal("9.000072")}
    within = Usage(requests=1_200_000, provisioned_mb_ms=1_200_000 * 1000 * 1536)
    assert cost(X86, within) == {"requests": Decimal("0.24"), "provisioned-compute": Decimal("17.49996")}
    # The free tier is not for provisioned concurrency.
    assert cost(X86, reserved, free_tier=True) == cost(X86, reserved)


@pytest.mark.parametrize(
    ("mb", "x86", "arm"),
    [
        (128, "0.0000000021", "0.0000000017"),
        (256, "0.0000000042", "0.0000000033"),
        (512, "0.0000000083", "0.0000000067"),
        (1024, "0.0000000167", "0.0000000133"),
        (1536, "0.0000000250", "0.0000000200"),
        (2048, "0.0000000333", "0.0000000267"),
        (3008, "0.0000000490", "0.0000000392"),
        (10240, "0.0000001667", "0.0000001333"),
    ],
)
def test_the_published_price_of_a_millisecond(mb, x86, arm):
    for book, published in ((X86, x86), (ARM, arm)):
        exact = list_price(book, Usage(mb_ms=mb)) / 10**12
        assert round(Decimal(exact.numerator) / exact.denominator, 10) == Decimal(published)


def test_a_book_that_knows_no_warm_environments_prices_them_as_all_others():
    book = PriceBook(name="n", version="1", title="", currency="EUR", prices=(Price("compute", Decimal(1)),))
    assert cost(book, Usage(mb_ms=GB_S, provisioned_mb_ms=2 * GB_S)) == {"compute": Decimal(3)}
    assert list_price(book, Usage(mb_ms=GB_S, provisioned_mb_ms=2 * GB_S)) == 3 * 10**12


def test_a_machine_is_paid_by_processor_time_and_memory_that_were_measured():
    book = find_book("own-machine", None)
    hour = Usage(cpu_us=2 * 3600 * 10**6, resident_mb_ms=4 * 3600 * GB_S)
    assert cost(book, hour) == {"cpu": Decimal("0.025"), "memory": Decimal("0.025")}


def test_the_free_tier_is_told_apart():
    found = charges(X86, invoked(3 * M, 1000, 512))
    assert [(charge.meter, charge.tier, charge.quantity) for charge in found] == [
        ("requests", FREE, M),
        ("requests", 1, 2 * M),
        ("compute", FREE, 400_000 * GB_S),
        ("compute", 1, 1_100_000 * GB_S),
    ]
    assert [decimal(charge.list_cost - charge.cost) for charge in found] == [
        Decimal("0.2"),
        0,
        Decimal("6.66668"),
        0,
    ]


# The same once more, by somebody who trusts nothing but Decimal and takes his time.


def slow_total(book, usage, free_tier):
    with localcontext() as context:
        context.prec = 120
        total = Decimal(0)
        for price in book.prices:
            meter = METERS[price.meter]
            used = Decimal(getattr(usage, meter.field))
            if price.meter == "compute" and "provisioned-compute" not in {p.meter for p in book.prices}:
                used += usage.provisioned_mb_ms
            used /= meter.base
            if free_tier:
                used -= min(used, Decimal(price.free))
            tiers = list(price.tiers) or [Tier(price.price)]
            begin = Decimal(0)
            for tier in tiers:
                end = Decimal(tier.up_to) if tier.up_to is not None else used
                inside = max(Decimal(0), min(used, end) - begin)
                total += inside * tier.price / price.per
                begin = max(begin, min(used, end)) if tier.up_to is None else end
        return int((total * 10**12).quantize(Decimal(1), ROUND_HALF_EVEN))


amounts = st.decimals(0, 1000, places=10)


@st.composite
def prices(draw, meter):
    free = draw(st.integers(0, 1000))
    # A `per` of other factors makes decimals without an end, which 120 digits round as exact fractions do.
    per = draw(st.sampled_from([1, 10, 1000, 10**6]))
    if draw(st.booleans()):
        return Price(meter, draw(amounts), per=per, free=free)
    bounds = sorted(draw(st.sets(st.integers(1, 10**6), min_size=1, max_size=4)))
    tiers = [Tier(draw(amounts), bound) for bound in bounds]
    return Price(meter, None, (*tiers, Tier(draw(amounts))), per, free)


@st.composite
def books(draw):
    meters = draw(st.sets(st.sampled_from(sorted(METERS)), min_size=1))
    return PriceBook(
        name="any", version="1", title="", currency="EUR", prices=tuple(draw(prices(meter)) for meter in sorted(meters))
    )


counts = st.integers(0, 10**13)
usages = st.builds(Usage, counts, counts, counts, counts, counts, counts, counts, counts, counts, counts)


@given(books(), usages, st.booleans())
def test_a_month_costs_what_decimals_say(book, usage, free_tier):
    found = charges(book, usage, free_tier=free_tier)
    assert sum(charge.cost for charge in found) == slow_total(book, usage, free_tier)
    assert all(charge.quantity > 0 and 0 <= charge.cost <= charge.list_cost for charge in found)
    for price in book.prices:
        mine = [charge for charge in found if charge.meter == price.meter]
        assert sum(charge.quantity for charge in mine) >= METERS[price.meter].quantity(usage)


days = st.dates(dt.date(2026, 10, 20), dt.date(2026, 12, 10))
cells = st.lists(st.builds(Cell, days, st.sampled_from(["a", "b", "c"]), usages), max_size=12)


@given(books(), cells, st.booleans())
def test_lines_and_charges_sum_to_the_totals(book, cells, free_tier):
    bill = make_bill(book, cells, dt.date(2026, 10, 1), dt.date(2027, 1, 1), by="function", free_tier=free_tier)
    for total in ("cost", "list_cost"):
        assert sum(getattr(line, total) for line in bill.lines) == getattr(bill, total)
        assert sum(getattr(charge, total) for charge in bill.charges) == getattr(bill, total)
    by_month = {}
    for cell in cells:
        by_month.setdefault(cell.day.month, []).append(cell.usage)
    assert bill.cost == sum(slow_total(book, sum(each, Usage()), free_tier) for each in by_month.values())
    assert bill.usage == sum((cell.usage for cell in cells), Usage())
    assert {line.group for line in bill.lines} == {cell.group for cell in cells}


def test_the_free_tier_is_shared_in_proportion_to_use():
    use = {"large": invoked(3 * M, 1000, 512), "small": invoked(M, 1000, 512)}
    cells = [Cell(dt.date(2026, 11, 3), group, usage) for group, usage in use.items()]
    bill = make_bill(X86, cells, dt.date(2026, 11, 1), dt.date(2026, 12, 1), by="function")
    large, small = bill.lines
    assert (large.group, small.group) == ("large", "small")
    assert large.cost == 3 * small.cost
    assert decimal(bill.list_cost - bill.cost) == Decimal("6.66668") + Decimal("0.2")


def test_each_month_has_its_own_free_tier():
    cells = [Cell(dt.date(2026, month, 3), "f", invoked(M, 1000, 128)) for month in (10, 11)]
    bill = make_bill(X86, cells, dt.date(2026, 10, 1), dt.date(2026, 12, 1), by="function")
    assert bill.cost == 0
    assert decimal(bill.list_cost) == 2 * Decimal("2.2833375")


def test_lines_come_by_cost_and_days_in_their_order():
    cells = [Cell(dt.date(2026, 11, day), f"2026-11-{day:02}", invoked(day % 5 + 1, 10, 128)) for day in range(1, 9)]
    by_day = make_bill(X86, cells, dt.date(2026, 11, 1), dt.date(2026, 12, 1), by="day")
    assert [line.group for line in by_day.lines] == sorted(line.group for line in by_day.lines)
    by_cost = make_bill(X86, cells, dt.date(2026, 11, 1), dt.date(2026, 12, 1), by="function")
    assert [line.list_cost for line in by_cost.lines] == sorted((x.list_cost for x in by_cost.lines), reverse=True)
