"""What the game remembers, in SQLite. Several environments use the file at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

FILE = Path(__file__).parent / "data" / "game.db"
PATIENCE = 10.0
"""Seconds to wait for who writes."""

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS scores (player TEXT PRIMARY KEY, points INTEGER NOT NULL, moves INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counted (stream_partition INTEGER PRIMARY KEY, position INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS matches (player TEXT PRIMARY KEY, opponent TEXT NOT NULL);
"""


class Store:
    """One connection; each method is a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, partition: int, scores: Sequence[tuple[int, str, int]]) -> None:
        """Count scores, each with its position in its partition. What was counted is not counted again: the last
        position is kept in the same step."""
        with self._connection:
            row = self._connection.execute(
                "SELECT position FROM counted WHERE stream_partition = ?", (partition,)
            ).fetchone()
            done = row[0] if row is not None else 0
            self._connection.executemany(
                "INSERT INTO scores VALUES (?, ?, 1) ON CONFLICT (player)"
                " DO UPDATE SET points = points + excluded.points, moves = moves + 1",
                [(player, points) for position, player, points in scores if position > done],
            )
            last = max([done, *(position for position, _, _ in scores)])
            self._connection.execute("INSERT OR REPLACE INTO counted VALUES (?, ?)", (partition, last))

    def best(self, most: int) -> list[dict[str, object]]:
        rows = self._connection.execute(
            "SELECT player, points, moves FROM scores ORDER BY points DESC, moves, player LIMIT ?", (most,)
        )
        return [{"player": player, "points": points, "moves": moves} for player, points, moves in rows]

    def pair(self, pairs: Sequence[tuple[str, str]]) -> None:
        both = [*pairs, *((other, one) for one, other in pairs)]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO matches VALUES (?, ?)", both)

    def opponent(self, player: str) -> str | None:
        row = self._connection.execute("SELECT opponent FROM matches WHERE player = ?", (player,)).fetchone()
        return None if row is None else str(row[0])


def opened(file: Path = FILE) -> Store:
    """The store in this file, which is made if it is missing."""
    file.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(file, timeout=PATIENCE)
    connection.executescript(SCHEMA)
    return Store(connection)
