"""Assertions on bills, for who tests an app."""

from __future__ import annotations

import re

import pytest
from facts import until
from fnframe_billing.testing import assert_bill, bill_of

from fnframe import App

pytestmark = pytest.mark.anyio

app, other = App("shop"), App("other")


@app.function(tenant="$.customer", retries=1, memory=1024)
async def order(order: dict) -> None:
    if order.get("broken"):
        raise ValueError("broken")


@other.function(provisioned_concurrency=1)
async def kept() -> None: ...


@pytest.fixture
async def client(app_client):
    client = await app_client(app)
    await client.invoke("order", {"customer": "acme"})
    await client.enqueue("order", {"customer": "zeta", "broken": True})
    await client.drained()
    return client


async def test_who_is_billed_for_how_many(client):
    bill = await assert_bill(client, {"order": 3}, at_most="0.001")
    assert bill.usage.failures == 2
    assert bill.list_cost > 3 * 200_000  # Three requests, and their time.
    by_tenant = await assert_bill(client, {"acme": 1, "zeta": 2}, by="tenant")
    assert by_tenant.list_cost == bill.list_cost


async def test_a_bill_begins_with_its_client(client, app_client):
    await assert_bill(client, {"order": 3})
    idle = await app_client(other)

    async def is_on_it():
        return [line.group for line in (await assert_bill(idle, {})).lines] == ["kept"]

    await until(is_on_it)  # Environments that are kept warm are on the bill, and are no invocations.
    assert {line.group for line in (await bill_of(client, "outcome")).lines} == {"success", "ValueError"}


async def test_what_was_expected_and_what_was_found_is_told(client):
    with pytest.raises(AssertionError) as caught:
        await assert_bill(client, {"acme": 3}, by="tenant")
    first, *lines, total = str(caught.value).splitlines()
    assert first.startswith("by tenant: expected invocations on the bill {'acme': 3}, found {")
    assert sorted(line.split(",")[0] for line in lines) == ["  acme: 1 invocations", "  zeta: 2 invocations"]
    assert re.fullmatch(r"  total: 3 invocations, 2 of them failed, 0\.\d+ USD", total)
    with pytest.raises(AssertionError, match=r"^expected a cost of at most 0.0000001 USD\n  order: 3 invocations"):
        await assert_bill(client, {"order": 3}, at_most="0.0000001")
