"""Where the ledger and the budgets meet: what is written and what is known to be spent change in one step, for the
threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .bursts import BURST

if TYPE_CHECKING:
    from fnframe import Function, Report

    from .budgets import Budgets
    from .ledger import Ledger, Reading


class Keeping:
    """Writes to the ledger, and tells the budgets."""

    def __init__(self, ledger: Ledger, budgets: Budgets) -> None:
        self.ledger = ledger
        self._budgets = budgets
        self._lock = threading.Lock()

    def write(self, reports: Sequence[Report], reading: Reading | None = None) -> bool:
        """Keep reports, each once; False, and nothing is written, where the reader of `reading` is elsewhere by now.

        Raises `apsw.Error` and `ConfigurationError`.
        """
        with self._lock:
            totals = self.ledger.write(reports, reading, self._budgets)
            if totals is not None:
                self._budgets.written(reports, totals)
            return totals is not None

    def take(self, reports: Sequence[Report]) -> bool:
        """Keep reports that nobody has brought before, as a burst if they are so many and no budget has to know of
        them; whether it was one. Raises what `Ledger.write` and `Ledger.put_off` raise."""
        if len(reports) >= BURST and not self._budgets.accounts and self.ledger.put_off(reports):
            return True
        self.write(reports)
        return False

    def reserve(self, run: str, warm: Sequence[Function], node: str, begun: float, milliseconds: int) -> None:
        """Bill environments that are kept warm from a moment on, in seconds since the epoch; see `Ledger.reserve`."""
        with self._lock:
            totals = self.ledger.reserve(run, warm, node, int(begun * 1000), milliseconds, self._budgets)
            self._budgets.written((), totals)

    def learn(self, reports: Sequence[Report]) -> None:
        """Another process has written these."""
        with self._lock:
            self._budgets.written(reports, self.ledger.spent(self._budgets.waiting(reports)))
