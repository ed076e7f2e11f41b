"""Messages that were with hosts which ended, and of which one more such end would be the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...engine.protocol import Lease

LATER = 1.0
"""Seconds until a suspect is looked at again that could not be taken while another one was here."""


class Suspects:
    """Lets one suspect in at a time.

    A host that ends takes along all that it holds, what it only received ahead too. So that what ends hosts is not
    given up on together with all that was near it, no two of those are held at once which the next end would condemn.
    """

    def __init__(self, is_suspect: Callable[[Lease], bool]) -> None:
        self._is_suspect = is_suspect
        self._here: Lease | None = None

    def sort(self, leases: Sequence[Lease]) -> tuple[Sequence[Lease], list[Lease]]:
        """Those that may stay, and those that must go back: suspects but one, and what is behind them in a group."""
        if not any(map(self._is_suspect, leases)):
            return leases, []
        stay: list[Lease] = []
        back: list[Lease] = []
        blocked: set[str] = set()
        for lease in leases:
            group = lease.message.group
            if group in blocked or (self._is_suspect(lease) and not self._let_in(lease)):
                back.append(lease)
                blocked |= set() if group is None else {group}
            else:
                stay.append(lease)
        return stay, back

    def done(self, leases: Iterable[Lease]) -> None:
        """These are here no more."""
        if self._here is not None and self._here in leases:
            self._here = None

    def _let_in(self, lease: Lease) -> bool:
        if self._here is not None:
            return False
        self._here = lease
        return True
