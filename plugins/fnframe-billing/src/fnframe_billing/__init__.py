"""A bill that can be trusted: what functions used, what that costs, and budgets that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bill import Bill, Line
    from .billing import Billing, Cost
    from .book import PriceBook
    from .usage import Usage

_HOMES = {
    "Bill": "bill",
    "Billing": "billing",
    "Cost": "billing",
    "Line": "bill",
    "PriceBook": "book",
    "Usage": "usage",
}

__all__ = ("Bill", "Billing", "Cost", "Line", "PriceBook", "Usage")


def __getattr__(name: str) -> Any:
    # Lazy, so that finding the plugin costs nothing.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe_billing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
