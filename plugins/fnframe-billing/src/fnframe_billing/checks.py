"""What is wrong with the settings of billing, told at start and not with the first invocation."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fnframe import ConfigurationError
from fnframe.errors import nearest

from .settings import EACH

if TYPE_CHECKING:
    from fnframe import Manifest

    from .ledger import Ledger
    from .settings import Budget


def check_ledger(ledger: Ledger) -> None:
    """Raise `ConfigurationError` where the ledger cannot be kept."""
    if ledger.exists():
        ledger.reader().close()
        return
    folder = next((folder for folder in Path(ledger.name).absolute().parents if folder.exists()), Path("/"))
    if not ledger.in_memory and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ConfigurationError(
            f"the ledger cannot be kept here, since {folder} cannot be written to: set another `ledger` in the table "
            '[billing], "memory:" to keep it with the process, or `enabled = false`',
            where=ledger.name,
        )


def check_budgets(budgets: Iterable[Budget], manifest: Manifest) -> None:
    """Raise `ConfigurationError` for a budget of a function that there is not."""
    known = [function.name for function in manifest.functions]
    for budget in budgets:
        if budget.function not in (None, EACH, *known):
            raise ConfigurationError(
                f"the budget {budget.name!r} is for the function {budget.function!r}, which does not exist"
                f"{nearest(str(budget.function), known)}"
            )
