"""A clock that somebody sets: delays go by it, and must not become hours long."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .transaction import Transaction

STEP = 1.0
"""Seconds by which the clock has to jump to count as set."""

CLOCK = "fnframe:clock"
"""The name in the state of where the clock stood, by the machine's start."""


def follow_clock(tx: Transaction, offset: float) -> None:
    """Where the clock was set back, let delays end when they would have. `offset` is how far it is ahead of the
    monotonic scale, which begins anew with the machine; the file keeps what it was, so that of several processes the
    first one alone does this."""
    boot = _boot()
    row = tx.one("SELECT value FROM state WHERE name = ? AND key = ?", (CLOCK, boot))
    before = float(row[0]) if row else offset
    if offset < before - STEP:
        tx.execute("UPDATE message SET due = due + ? WHERE due IS NOT NULL", (offset - before,))
    tx.execute("DELETE FROM state WHERE name = ?", (CLOCK,))
    tx.execute("INSERT INTO state (name, key, value) VALUES (?, ?, ?)", (CLOCK, boot, repr(offset).encode()))


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
