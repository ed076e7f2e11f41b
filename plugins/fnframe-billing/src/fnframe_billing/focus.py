"""The bill in the form of FOCUS, the FinOps Open Cost and Usage Specification (https://focus.finops.org).

A row for each day, function, tenant, set of tags and price.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from .billing import next_month
from .export import plain, table
from .money import decimal
from .pricing import FREE, Charge, Share, charges, shares
from .usage import METERS, Usage

if TYPE_CHECKING:
    from .book import PriceBook
    from .hours import Use

Version = Literal["1.2", "1.4"]

COMMON = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost",
    "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ResourceId", "ResourceName", "ResourceType",
    "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
    "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
)  # fmt: skip
OWN = {"1.2": ("ProviderName", "PublisherName"), "1.4": ("HostProviderName", "ServiceProviderName")}
"""What only one of the versions has: 1.3 brought the second pair, 1.4 took the first away."""

PROVIDER = "fnframe"

UNITS = {"requests": "Requests", "GB-s": "GB-Seconds", "core-s": "Core-Seconds"}
HOUR = 3600


def columns(version: Version) -> tuple[str, ...]:
    """The columns, in their order."""
    return tuple(sorted(COMMON + OWN[version]))


def to_focus(
    app: str, book: PriceBook, uses: Iterable[Use], *, free_tier: bool = True, version: Version = "1.2"
) -> str:
    """The bill as CSV."""
    names = columns(version)
    rows = [{name: row[name] for name in names} for row in focus_rows(app, book, uses, free_tier=free_tier)]
    return table(names, rows)


def focus_rows(app: str, book: PriceBook, uses: Iterable[Use], *, free_tier: bool = True) -> Iterator[dict[str, Any]]:
    """Each row with the columns of all versions. Their `BilledCost` sums to what is to pay."""
    months: dict[dt.date, list[Use]] = defaultdict(list)
    for use in uses:
        months[use.day.replace(day=1)].append(use)
    for month, of_month in sorted(months.items()):
        usages = [use.usage for use in of_month]
        for charge in charges(book, sum(usages, Usage()), free_tier=free_tier):
            for use, share in zip(of_month, shares(book, charge, usages), strict=True):
                if share.quantity:
                    yield _row(app, book, month, use, charge, share)


def _row(app: str, book: PriceBook, month: dt.date, use: Use, charge: Charge, share: Share) -> dict[str, Any]:
    meter = METERS[charge.meter]
    consumed = Decimal(share.quantity) / meter.base
    tier = "free tier" if charge.tier == FREE else f"tier {charge.tier}"
    tenant = use.tenant or None
    return {
        "BilledCost": plain(decimal(share.cost)),
        "BillingAccountId": app,
        "BillingAccountName": app,
        "BillingCurrency": book.currency,
        "BillingPeriodEnd": _midnight(next_month(month)),
        "BillingPeriodStart": _midnight(month),
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{charge.meter} of function {use.function}, {tier}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _midnight(use.day + dt.timedelta(days=1)),
        "ChargePeriodStart": _midnight(use.day),
        "ConsumedQuantity": plain(consumed),
        "ConsumedUnit": UNITS[meter.unit],
        "ContractedCost": plain(decimal(share.cost)),
        "EffectiveCost": plain(decimal(share.cost)),
        "HostProviderName": PROVIDER,
        "InvoiceId": None,
        "InvoiceIssuerName": PROVIDER,
        "ListCost": plain(decimal(share.list_cost)),
        "ListUnitPrice": plain(charge.price),
        "PricingCategory": "Standard",
        "PricingQuantity": plain(consumed / charge.per),
        "PricingUnit": _unit(meter.unit, charge.per),
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "ResourceId": f"{app}/{use.function}",
        "ResourceName": use.function,
        "ResourceType": "Function",
        "ServiceCategory": "Compute",
        "ServiceName": PROVIDER,
        "ServiceProviderName": PROVIDER,
        "ServiceSubcategory": "Serverless Compute",
        "SkuId": f"{PROVIDER}/{charge.meter}",
        "SkuMeter": charge.meter,
        "SkuPriceDetails": None,
        "SkuPriceId": f"{book.name}/{book.version}/{charge.meter}/{'free' if charge.tier == FREE else charge.tier}",
        "SubAccountId": tenant,
        "SubAccountName": tenant,
        "SubAccountType": "Tenant" if tenant else None,
        "Tags": None if use.tags == "{}" else use.tags,
    }


def _midnight(day: dt.date) -> str:
    return f"{day}T00:00:00Z"


def _unit(unit: str, per: int) -> str:
    """`GB-Seconds`, `1000000 Requests`, `Core-Hours`."""
    name = UNITS[unit]
    if per == HOUR and name.endswith("-Seconds"):
        return f"{name.removesuffix('-Seconds')}-Hours"
    return name if per == 1 else f"{per} {name}"
