"""The bill for programs: JSON and CSV, exact to the last unit."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import msgspec

from .bill import Bill
from .money import decimal
from .pricing import FREE
from .usage import METERS, Usage

LINE = ("begin", "end", "by", "group", "invocations", "failures", "requests", "gb_seconds", "list_cost", "cost",
        "currency", "price_book")  # fmt: skip
"""The columns of CSV."""


def to_json(bill: Bill, app: str) -> str:
    """An object with `lines` and `charges`, each of which sum to `total`; amounts are decimals in text."""
    book = bill.book
    charges = [
        {
            "meter": charge.meter,
            "tier": "free" if charge.tier == FREE else charge.tier,
            "quantity": plain(Decimal(charge.quantity) / METERS[charge.meter].base),
            "unit": METERS[charge.meter].unit,
            "price": plain(charge.price),
            "per": charge.per,
            "list_cost": plain(decimal(charge.list_cost)),
            "cost": plain(decimal(charge.cost)),
        }
        for charge in bill.charges
    ]
    lines = [
        {
            "group": line.group,
            **_used(line.usage),
            "list_cost": plain(decimal(line.list_cost)),
            "cost": plain(decimal(line.cost)),
            "by_day": {str(day): plain(decimal(cost)) for day, cost in sorted(line.by_day.items())},
        }
        for line in bill.lines
    ]
    total = {**_used(bill.usage), "list_cost": plain(decimal(bill.list_cost)), "cost": plain(decimal(bill.cost))}
    whole: dict[str, Any] = {
        "app": app,
        "begin": bill.begin,
        "end": bill.end,
        "by": bill.by,
        "price_book": {"name": book.name, "version": book.version, "title": book.title, "source": book.source},
        "currency": book.currency,
        "lines": lines,
        "charges": charges,
        "total": total,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()


def to_csv(bill: Bill) -> str:
    """A row for each line of the bill, under `LINE`."""
    rows = [
        {
            "begin": bill.begin,
            "end": bill.end,
            "by": bill.by,
            "group": line.group,
            **{name: value for name, value in _used(line.usage).items() if name in LINE},
            "list_cost": plain(decimal(line.list_cost)),
            "cost": plain(decimal(line.cost)),
            "currency": bill.book.currency,
            "price_book": f"{bill.book.name} {bill.book.version}",
        }
        for line in bill.lines
    ]
    return table(LINE, rows)


def table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    """CSV with a head, without its last end of line; what is None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().removesuffix("\n")


def _used(usage: Usage) -> dict[str, Any]:
    return {
        "invocations": usage.invocations,
        "failures": usage.failures,
        "requests": usage.requests,
        "gb_seconds": plain(Decimal(usage.mb_ms + usage.provisioned_mb_ms) / METERS["compute"].base),
        "provisioned_gb_seconds": plain(Decimal(usage.reserved_mb_ms) / METERS["provisioned"].base),
        "core_seconds": plain(Decimal(usage.cpu_us) / METERS["cpu"].base),
        "not_measured": usage.unmeasured,
    }


def plain(amount: Decimal) -> str:
    """Without an exponent, and without zeros that say nothing."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
