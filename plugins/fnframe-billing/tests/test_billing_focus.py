"""FOCUS: every row against a table of the rules of https://focus.finops.org for a dataset such as ours.

The rules are those of 1.2, and what 1.4 has otherwise: `ProviderName` and `PublisherName` gave way to
`ServiceProviderName` and `HostProviderName`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from decimal import Decimal

import pytest
from billing_reports import report, reports
from fnframe_billing.bill import Cell, make_bill
from fnframe_billing.book import find_book
from fnframe_billing.focus import columns, to_focus
from fnframe_billing.hours import uses
from fnframe_billing.ledger import Ledger
from fnframe_billing.money import decimal
from fnframe_billing.schema import MEMORY
from hypothesis import given
from hypothesis import strategies as st

from fnframe import Function

SPAN = dt.date(2026, 9, 1), dt.date(2027, 1, 1)
ROUNDING = Decimal("2e-12")
"""A charge is rounded to the unit of 1e-12, and so are its parts."""

DECIMAL = re.compile(r"-?\d+(\.\d+)?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TEXT = re.compile(r"\S(.*\S)?", re.DOTALL)
CODE = re.compile(r"[A-Z]{3}")
MEASURE = re.compile(r"(\d+ )?(Requests|GB-Seconds|GB-Hours|Core-Seconds|Core-Hours)")
OBJECT = "an object of keys and texts, as JSON"


def one_of(*values):
    return re.compile("|".join(map(re.escape, values)))


# Column: whether it must be there, whether it may be null, what it looks like.
RULES = {
    "BilledCost": ("mandatory", False, DECIMAL),
    "BillingAccountId": ("mandatory", False, TEXT),
    "BillingAccountName": ("mandatory", True, TEXT),
    "BillingCurrency": ("mandatory", False, CODE),
    "BillingPeriodEnd": ("mandatory", False, MOMENT),
    "BillingPeriodStart": ("mandatory", False, MOMENT),
    "ChargeCategory": ("mandatory", False, one_of("Usage", "Purchase", "Tax", "Credit", "Adjustment")),
    "ChargeClass": ("mandatory", True, one_of("Correction")),
    "ChargeDescription": ("mandatory", True, TEXT),
    "ChargeFrequency": ("recommended", False, one_of("One-Time", "Recurring", "Usage-Based")),
    "ChargePeriodEnd": ("mandatory", False, MOMENT),
    "ChargePeriodStart": ("mandatory", False, MOMENT),
    "ConsumedQuantity": ("conditional", True, DECIMAL),
    "ConsumedUnit": ("conditional", True, MEASURE),
    "ContractedCost": ("mandatory", False, DECIMAL),
    "EffectiveCost": ("mandatory", False, DECIMAL),
    "HostProviderName": ("since 1.3", False, TEXT),
    "InvoiceId": ("recommended", True, TEXT),
    "InvoiceIssuerName": ("mandatory", False, TEXT),
    "ListCost": ("mandatory", False, DECIMAL),
    "ListUnitPrice": ("conditional", True, DECIMAL),
    "PricingCategory": ("conditional", True, one_of("Standard", "Dynamic", "Committed", "Other")),
    "PricingQuantity": ("mandatory", True, DECIMAL),
    "PricingUnit": ("mandatory", True, MEASURE),
    "ProviderName": ("until 1.3", False, TEXT),
    "PublisherName": ("until 1.3", False, TEXT),
    "ResourceId": ("conditional", True, TEXT),
    "ResourceName": ("conditional", True, TEXT),
    "ResourceType": ("conditional", True, TEXT),
    "ServiceCategory": ("mandatory", False, one_of("Compute")),
    "ServiceName": ("mandatory", False, TEXT),
    "ServiceProviderName": ("since 1.3", False, TEXT),
    "ServiceSubcategory": ("recommended", False, one_of("Serverless Compute")),
    "SkuId": ("conditional", True, TEXT),
    "SkuMeter": ("conditional", True, TEXT),
    "SkuPriceDetails": ("conditional", True, OBJECT),
    "SkuPriceId": ("conditional", True, TEXT),
    "SubAccountId": ("conditional", True, TEXT),
    "SubAccountName": ("conditional", True, TEXT),
    "SubAccountType": ("conditional", True, TEXT),
    "Tags": ("conditional", True, OBJECT),
}
# Where the first is null, so is the second, and where it is not, the second is not.
TOGETHER = [
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("ResourceId", "ResourceName"),
    ("ResourceId", "ResourceType"),
    ("SubAccountId", "SubAccountName"),
    ("SubAccountId", "SubAccountType"),
    ("SkuId", "SkuMeter"),
]
# Never null for use that is no correction.
OF_USE = [
    "ListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "PricingCategory",
    "SkuId",
    "SkuPriceId",
    "ConsumedQuantity",
]
NOT_IN = {"1.2": "since 1.3", "1.4": "until 1.3"}


def check(text, version):
    """Every rule on every row; the rows."""
    found = csv.reader(io.StringIO(text))
    names = next(found)
    wanted = {name for name, (level, _, _) in RULES.items() if level != NOT_IN[version]}
    assert set(names) == wanted
    assert names == sorted(names), "in order, and none twice"
    assert all(len(name) <= 50 and re.fullmatch(r"[A-Z][A-Za-z]*", name) for name in names)
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for row in rows:
        check_row(row)
    prices = {}
    for row in rows:
        assert prices.setdefault(row["SkuPriceId"], row["SkuId"]) == row["SkuId"], "one price has one SKU"
    return rows


def check_row(row):
    for name, text in row.items():
        _, may_be_null, form = RULES[name]
        if not text:
            assert may_be_null, name
        elif form is OBJECT:
            assert all(isinstance(value, str) for value in json.loads(text).values()), name
        else:
            assert form.fullmatch(text), (name, text)
    assert row["ChargeCategory"] == "Usage"
    assert not row["ChargeClass"]
    assert all(row[name] for name in OF_USE)
    for one, other in TOGETHER:
        assert bool(row[one]) == bool(row[other]), (one, other)
    number = {name: Decimal(row[name]) for name, (_, _, form) in RULES.items() if form is DECIMAL}
    assert number["ListUnitPrice"] >= 0
    assert number["ListUnitPrice"] * number["PricingQuantity"] == pytest.approx(number["ListCost"], abs=ROUNDING)
    assert number["EffectiveCost"] == number["BilledCost"] == number["ContractedCost"]
    assert 0 <= number["BilledCost"] <= number["ListCost"]
    assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
    per = int(row["PricingUnit"].split()[0]) if row["PricingUnit"][0].isdigit() else 1
    per *= 3600 if row["PricingUnit"].endswith("-Hours") else 1
    assert number["PricingQuantity"] * per == pytest.approx(number["ConsumedQuantity"], rel=Decimal("1e-20"))


@given(
    st.lists(reports, max_size=12),
    st.sampled_from(["lambda-x86", "lambda-arm", "own-machine"]),
    st.booleans(),
    st.sampled_from(["1.2", "1.4"]),
)
def test_every_row_keeps_the_rules_and_all_sum_up_to_the_bill(found, name, free_tier, version):
    book = find_book(name, None)
    with Ledger(MEMORY, "shop") as ledger:
        ledger.write(found)
        warm = Function(name="warm", where="", memory=1536, provisioned_concurrency=3, tags={"a": 'b"'})
        ledger.reserve("run", [warm], "node", 1_793_000_000_000, 300_000)
        connection = ledger.reader()
        used = list(uses(connection, *SPAN, init_billed=book.init_billed))
        connection.close()
    rows = check(to_focus("shop", book, used, free_tier=free_tier, version=version), version)
    cells = [Cell(use.day, use.function, use.usage) for use in used]
    bill = make_bill(book, cells, *SPAN, by="function", free_tier=free_tier)
    assert sum(Decimal(row["BilledCost"]) for row in rows) == decimal(bill.cost)
    assert sum(Decimal(row["ListCost"]) for row in rows) == decimal(bill.list_cost)


def test_a_row_tells_day_function_tenant_tags_and_price():
    with Ledger(MEMORY, "shop") as ledger:
        ledger.write([report(tenant="acme", tags={"team": "web"}, duration_ms=1000)])
        connection = ledger.reader()
        text = to_focus("shop", find_book("lambda-x86", None), uses(connection, *SPAN), free_tier=False)
        connection.close()
    requests, compute = check(text, "1.2")
    assert (requests["PricingQuantity"], requests["PricingUnit"]) == ("0.000001", "1000000 Requests")
    expected = {
        "BilledCost": "0.000002083338",
        "BillingPeriodStart": "2026-11-01T00:00:00Z",
        "BillingPeriodEnd": "2026-12-01T00:00:00Z",
        "ChargePeriodStart": "2026-11-03T00:00:00Z",
        "ChargePeriodEnd": "2026-11-04T00:00:00Z",
        "ChargeDescription": "compute of function f, tier 1",
        "ConsumedQuantity": "0.125",
        "ListUnitPrice": "0.0000166667",
        "PricingUnit": "GB-Seconds",
        "ResourceId": "shop/f",
        "SkuPriceId": "lambda-x86/2026-11/compute/1",
        "SubAccountId": "acme",
        "Tags": '{"team":"web"}',
    }
    assert {name: compute[name] for name in expected} == expected


def test_the_columns_of_both_versions():
    assert set(columns("1.2")) - set(columns("1.4")) == {"ProviderName", "PublisherName"}
    assert set(columns("1.4")) - set(columns("1.2")) == {"HostProviderName", "ServiceProviderName"}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("BilledCost", ""), ("BilledCost", "1,000"), ("BillingCurrency", "dollars"), ("ChargePeriodEnd", "2026-11-04"),
        ("ChargeCategory", "Use"), ("ListCost", "5"), ("SubAccountName", ""), ("Tags", '["a"]'), ("PricingUnit", "GBs"),
        ("ResourceName", " f"), ("EffectiveCost", "9"),
    ],
)  # fmt: skip
def test_the_rules_find_what_breaks_them(column, value):
    with Ledger(MEMORY, "shop") as ledger:
        ledger.write([report(tenant="acme", tags={"team": "web"})])
        connection = ledger.reader()
        text = to_focus("shop", find_book("lambda-x86", None), uses(connection, *SPAN))
        connection.close()
    row = check(text, "1.2")[0]
    with pytest.raises((AssertionError, AttributeError, ArithmeticError)):
        check_row(row | {column: value})
