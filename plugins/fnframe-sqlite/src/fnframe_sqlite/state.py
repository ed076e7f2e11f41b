"""State, as the protocol has it, and as SQL."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from .request import Request

if TYPE_CHECKING:
    from .transaction import Transaction
    from .writer import Writer


class SqliteState:
    """Named values in the file."""

    def __init__(self, name: str, writer: Writer) -> None:
        self._name = name
        self._writer = writer

    async def get(self, key: str) -> bytes | None:
        return await self._writer.ask(Request(_get, self._name, key, writes=False))

    async def put(self, key: str, value: bytes) -> None:
        await self._writer.ask(Request(_put, self._name, key, value))

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> bool:
        return await self._writer.ask(Request(_compare_and_set, self._name, key, expected, value))

    async def delete(self, key: str) -> None:
        await self._writer.ask(Request(_delete, self._name, key))

    async def items(self, prefix: str = "") -> list[tuple[str, bytes]]:
        return await self._writer.ask(Request(_items, self._name, prefix, writes=False))


def _get(tx: Transaction, name: str, key: str) -> bytes | None:
    row = tx.one("SELECT value FROM state WHERE name = ? AND key = ?", (name, key))
    return row[0] if row else None


def _put(tx: Transaction, name: str, key: str, value: bytes) -> None:
    tx.execute("INSERT OR REPLACE INTO state (name, key, value) VALUES (?, ?, ?)", (name, key, value))


def _compare_and_set(tx: Transaction, name: str, key: str, expected: bytes | None, value: bytes) -> bool:
    if _get(tx, name, key) != expected:
        return False
    _put(tx, name, key, value)
    return True


def _delete(tx: Transaction, name: str, key: str) -> None:
    tx.execute("DELETE FROM state WHERE name = ? AND key = ?", (name, key))


def _items(tx: Transaction, name: str, prefix: str) -> list[tuple[str, bytes]]:
    # The keys that begin with it lie together, in the order of code points, which is that of Python too.
    rows = tx.rows("SELECT key, value FROM state WHERE name = ? AND key >= ? ORDER BY key", (name, prefix))
    return list(takewhile(lambda row: row[0].startswith(prefix), rows))
