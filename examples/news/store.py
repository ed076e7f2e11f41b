"""What is known of feeds and articles, in SQLite. Several environments use the file at once."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from reading import Article, Page

FILE = Path(__file__).parent / "data" / "news.db"
PATIENCE = 10.0
"""Seconds to wait for who writes."""
LOAN = 60.0
"""Seconds in which who got an article to send has sent it: longer than its function may take."""
REST, LONGEST_REST = 10.0, 86_400.0
"""Seconds for which a feed that failed is left alone; doubled with each failure."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS articles (
  link TEXT PRIMARY KEY, title TEXT, summary TEXT, category TEXT, published TEXT, feed TEXT, feed_title TEXT,
  sent INTEGER NOT NULL DEFAULT 0, holder TEXT, held_until REAL NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS feeds (
  url TEXT PRIMARY KEY, etag TEXT, modified TEXT, failures INTEGER NOT NULL DEFAULT 0, failed_at REAL
);
"""
COLUMNS = ", ".join(Article.__struct_fields__)


class Store:
    """One connection; each method is a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def is_due(self, url: str, now: dt.datetime) -> bool:
        """Whether a feed did not fail so often lately that it had better be left alone."""
        row = self._one("SELECT failures, failed_at FROM feeds WHERE url = ? AND failures > 0", url)
        return row is None or now.timestamp() >= row[1] + min(LONGEST_REST, REST * 2 ** row[0])

    def seen(self, url: str) -> tuple[str | None, str | None]:
        """What the feed's server said of what was fetched last: its ETag and Last-Modified."""
        row = self._one("SELECT etag, modified FROM feeds WHERE url = ?", url)
        return (None, None) if row is None else (row[0], row[1])

    def note_success(self, url: str, page: Page | None) -> None:
        """`page` is None where the feed had not changed."""
        with self._connection:
            self._connection.execute("INSERT OR IGNORE INTO feeds (url) VALUES (?)", (url,))
            self._connection.execute("UPDATE feeds SET failures = 0 WHERE url = ?", (url,))
            if page is not None:
                change = (page.etag, page.modified, url)
                self._connection.execute("UPDATE feeds SET etag = ?, modified = ? WHERE url = ?", change)

    def note_failure(self, url: str) -> None:
        with self._connection:
            self._connection.execute(
                "INSERT INTO feeds (url, failures, failed_at) VALUES (?, 1, ?)"
                " ON CONFLICT (url) DO UPDATE SET failures = failures + 1, failed_at = excluded.failed_at",
                (url, time.time()),
            )

    def add(self, articles: Iterable[Article]) -> None:
        """Keep those whose link is not known; of the others, what their feed changed."""
        with self._connection:
            self._connection.executemany(
                f"INSERT INTO articles ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  our own words
                " ON CONFLICT (link) DO UPDATE SET title = excluded.title, summary = excluded.summary"
                " WHERE feed = excluded.feed",
                [msgspec.structs.astuple(article) for article in articles],
            )

    def lend_unsent(self, feed: str, holder: str) -> list[Article]:
        """Articles of a feed that nobody was told of, in an order that stays. Others do not get them for a while."""
        now = time.time()
        with self._connection:
            self._connection.execute(
                "UPDATE articles SET holder = ?, held_until = ?"
                " WHERE feed = ? AND NOT sent AND (holder = ? OR held_until < ?)",
                (holder, now + LOAN, feed, holder, now),
            )
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM articles WHERE feed = ? AND NOT sent AND holder = ? ORDER BY link",  # noqa: S608
            (feed, holder),
        )
        return [Article(*row) for row in rows]

    def mark_sent(self, articles: Iterable[Article]) -> None:
        with self._connection:
            links = [(article.link,) for article in articles]
            self._connection.executemany("UPDATE articles SET sent = 1 WHERE link = ?", links)

    def newest(self, most: int) -> list[Article]:
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM articles ORDER BY published DESC, link LIMIT ?",  # noqa: S608
            (most,),
        )
        return [Article(*row) for row in rows]

    def _one(self, statement: str, *values: object) -> tuple | None:
        return self._connection.execute(statement, values).fetchone()


@contextmanager
def opened() -> Iterator[Store]:
    FILE.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(FILE, timeout=PATIENCE)) as connection:
        connection.executescript(SCHEMA)
        yield Store(connection)
