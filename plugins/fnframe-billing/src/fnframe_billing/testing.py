"""For tests: what an app under test cost, and who caused it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from .export import plain
from .hours import EPOCH
from .money import decimal

if TYPE_CHECKING:
    from fnframe.testing import AppClient

    from .bill import Bill
    from .billing import Billing


async def bill_of(client: AppClient, by: str = "function") -> Bill:
    """The bill for all that this client ran, at the app's own prices.

    `by` divides it, as in `Billing.summary`. Functions that run in the test's own process are billed for the time that
    they took there; their memory is not measured. Raises `ConfigurationError`.
    """
    billing: Billing = client.running.billing
    return await billing.summary(by, begin=EPOCH, end=dt.date.max)


async def assert_bill(
    client: AppClient, invocations: Mapping[str, int], *, by: str = "function", at_most: Decimal | str | None = None
) -> Bill:
    """Fail unless these are billed for so many invocations each, and nobody else for any; the bill.

    An invocation is an attempt that ran, also one that failed: `{"thumbnail": 3}`, or of whomever `by` says, as in
    `Billing.summary`: `{"acme": 2}` by `"tenant"`. All of them together cost no more than `at_most`, in the currency of
    the app's price book, at list price.
    """
    bill = await bill_of(client, by)
    found = {line.group: line.usage.invocations for line in bill.lines if line.usage.invocations}
    if found != dict(invocations):
        raise AssertionError(
            f"by {by}: expected invocations on the bill {dict(invocations)}, found {found}\n{_told(bill)}"
        )
    cost = decimal(bill.list_cost)
    if at_most is not None and cost > Decimal(at_most):
        raise AssertionError(f"expected a cost of at most {at_most} {bill.book.currency}\n{_told(bill)}")
    return bill


def _told(bill: Bill) -> str:
    """Every line in one."""
    rows = [(line.group, line.usage, line.list_cost) for line in bill.lines] + [("total", bill.usage, bill.list_cost)]
    return "\n".join(
        f"  {group}: {usage.invocations} invocations, {usage.failures} of them failed, "
        f"{plain(decimal(cost))} {bill.book.currency}"
        for group, usage, cost in rows
    )
