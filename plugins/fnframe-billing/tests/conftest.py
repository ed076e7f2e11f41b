from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from fnframe_billing.hours import cells
from fnframe_billing.usage import Usage

APPS = Path(__file__).parent / "apps"


class Kit:
    """What the tests share, since test modules cannot import each other."""

    SHOP = str(APPS / "shop.py")

    @staticmethod
    def used(ledger, by="function"):
        """What each group used, ever."""
        connection = ledger.reader()
        found = {}
        for cell in cells(connection, dt.date(2000, 1, 1), dt.date(2100, 1, 1), by=by):
            found[cell.group] = found.get(cell.group, Usage()) + cell.usage
        connection.close()
        return found

    @staticmethod
    def rows(ledger, query, *values):
        connection = ledger.reader()
        found = connection.execute(query, values).fetchall()
        connection.close()
        return found


@pytest.fixture(scope="session")
def kit():
    return Kit


@pytest.fixture(autouse=True)
def ledgers_are_files(monkeypatch):
    """As they are for users, and not as in other tests."""
    monkeypatch.delenv("FNFRAME_BILLING_LEDGER", raising=False)
