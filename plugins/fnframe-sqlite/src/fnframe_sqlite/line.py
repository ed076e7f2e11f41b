"""Who waits for messages and records: here, and, in the table `waiting`, in which other engines.

At every queue the engines stand in a line. What came belongs to the first of it, as many messages as it wants; who was
served goes to the end. So no process starves another, however quick it is.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import msgspec

from .messages import turn_over
from .records import append_reports

if TYPE_CHECKING:
    from .request import Request
    from .transaction import Transaction

YIELD = 0.05
"""Seconds for which messages are left to an engine that stands before this one."""


class Line:
    """The requests that wait here, by channel: a queue's number, or a partition's as a negative number.

    What `run` changes counts once its transaction is committed, by `keep`.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[Request[Any]]] = {}
        self._told: set[int] = set()
        """Channels of which the table says that somebody waits here."""
        self._changed: dict[int, list[Request[Any]]] = {}
        self._tells: set[int] = set()
        self._holds_back = False
        self.yields_until = math.inf
        """On the monotonic scale: then those who stand before this engine have had their time."""

    @property
    def is_told(self) -> bool:
        """Whether the other engines know that somebody waits here."""
        return bool(self._told)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Any:
        return (request for waiting in self._waiting.values() for request in waiting)

    def run(self, tx: Transaction, requests: list[Request[Any]], *, look: bool) -> list[Request[Any]]:
        """Run new requests, and those that wait and may be served; which are finished.

        `look`: all of those who wait may be served, since others may have brought something.
        """
        self._changed = {}
        self._tells = set(self._told)
        self._holds_back = False
        finished = [request for request in requests if request.channel is None]
        for request in finished:
            request.run(tx)
        append_reports(tx)  # Before those are served who wait for them.
        new = [request for request in requests if request.channel is not None]
        if not new and not self._waiting:
            return finished
        tx.pushes = time.monotonic() >= self.yields_until
        turn_over(tx)
        served = set()
        for channel in list(self._waiting) if look or tx.pushes else tx.stirred & self._waiting.keys():
            self._changed[channel] = []
            if self._serve(tx, channel, self._waiting[channel], finished):
                served.add(channel)
        for request in new:
            channel = request.channel(tx) if request.channel is not None else 0
            self._changed.setdefault(channel, list(self._waiting.get(channel, [])))
            self._serve(tx, channel, [request], finished)
        for channel, waiting in self._changed.items():
            self._tell(tx, channel, waiting, was_served=channel in served)
        self._holds_back = tx.holds_back
        return finished

    def goes_on(self) -> bool:
        """Whether anybody will wait here when the transaction is committed."""
        return any((self._waiting | self._changed).values())

    def keep(self) -> None:
        """The transaction is committed."""
        for channel, waiting in self._changed.items():
            if waiting:
                self._waiting[channel] = waiting
            else:
                self._waiting.pop(channel, None)
        self._told = self._tells
        if not self._holds_back:
            self.yields_until = math.inf
        elif self.yields_until == math.inf:
            self.yields_until = time.monotonic() + YIELD

    def _serve(self, tx: Transaction, channel: int, requests: list[Request[Any]], finished: list[Request[Any]]) -> bool:
        """Run requests of a channel in their order; whether any got something."""
        waiting = self._changed[channel]
        served = is_empty = False
        for request in requests:
            if is_empty and request.waits:
                waiting.append(request)
                continue
            if request.abandoned:
                continue
            request.run(tx)
            if request.waits:
                waiting.append(request)
                is_empty = channel > 0  # Of a queue, which gave nothing to the first; readers of a stream differ.
            else:
                finished.append(request)
                served = served or bool(request.answer)
        return served

    def _tell(self, tx: Transaction, channel: int, waiting: list[Request[Any]], *, was_served: bool) -> None:
        """Tell the other engines whether somebody waits here."""
        if channel in self._told and (was_served or not waiting):
            tx.execute("DELETE FROM waiting WHERE channel = ? AND engine = ?", (channel, tx.engine))
            self._tells.discard(channel)
        if waiting and not tx.alone:
            tx.execute(
                "INSERT INTO waiting (channel, engine, wanted) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET wanted = excluded.wanted",
                (channel, tx.engine, sum(request.wanted for request in waiting)),
            )
            self._tells.add(channel)


def elsewhere(tx: Transaction) -> list[str]:
    """Other engines in which somebody waits for what this transaction brought."""
    if tx.alone or not tx.stirred:
        return []
    sql = "SELECT DISTINCT engine FROM waiting WHERE engine != ? AND channel IN (SELECT value FROM json_each(?))"
    return [engine for (engine,) in tx.rows(sql, (tx.engine, msgspec.json.encode(list(tx.stirred)).decode()))]


def forget(tx: Transaction, engines: set[str]) -> None:
    """Take engines that are not there any more out of every line."""
    for engine in engines:
        tx.execute("DELETE FROM waiting WHERE engine = ?", (engine,))
