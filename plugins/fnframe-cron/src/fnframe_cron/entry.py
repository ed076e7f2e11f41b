"""One schedule at work: which instant is next, and what is to be done when it has come."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from fnframe import Event, PayloadTooLarge

from .moments import Moments, moments
from .progress import Ledger, Progress
from .tick import TICK, Tick

if TYPE_CHECKING:
    from fnframe import Mapping

    from .trigger import Cron

log = logging.getLogger("fnframe.cron")

PUNCTUAL = 60.0
"""Seconds by which an instant may be found late and is still no misfire. Far less than engines remember ids, so that
of several processes which find it at once only one is heard."""
SOURCE = "fnframe:cron"

_encode = msgspec.json.Encoder().encode


class Entry:
    """A schedule and the function that it fires, by `mapping`.

    `identity` tells it from the function's other schedules, and `since` is the instant from which it counts. `data` is
    what its ticks carry.
    """

    __slots__ = (
        "_data", "_due", "_function", "_identity", "_ledger", "_mapping", "_moments", "_progress", "_since", "cron",
        "instant", "is_over", "title",
    )  # fmt: skip

    def __init__(
        self, cron: Cron, function: str, mapping: Mapping, ledger: Ledger, *, title: str, identity: str, since: int,
        data: Any = None,
    ) -> None:  # fmt: skip
        self.cron = cron
        self.title = title
        self.instant: int | None = None
        self.is_over = False
        """Whether the schedule is gone: it is not planned any more."""
        self._function = function
        self._mapping = mapping
        self._ledger = ledger
        self._identity = identity
        self._since = since
        self._data = data
        self._progress: Progress | None = None
        self._moments: Moments | None = None
        self._due = 0.0

    def __repr__(self) -> str:
        return f"<Entry {self.title} of {self._function}: next {self.instant}>"

    async def is_valid(self) -> bool:
        """Whether the schedule is there still; asked before each firing."""
        return True

    async def ended(self) -> None:
        """Called when it fires no more: no instant is left, or the schedule is gone."""

    async def plan(self, now: float) -> float | None:
        """Find the next instant, and when it is due; None where there is none."""
        if self._moments is None:
            self._moments = moments(self.cron.expression, self.cron.tz)
        if self._progress is None:
            self._progress = await self._ledger.begin(now, self._since)
        self.instant = self._moments.next(self._progress.done)
        if self.instant is None:
            return None
        # One that its window delays beyond the next holds that up: they fire in their order.
        self._due = max(self._due, self._due_of(self.instant))
        return self._due

    def begin_anew(self, now: float) -> None:
        """Forget the past: the clock was wrong."""
        self._progress = self._progress and Progress(int(now))
        self._due = 0.0

    async def fire(self, now: float) -> None:
        """Deal with what is due. Raises what `Mapping.enqueue` does, and then it is due still."""
        if self.instant is None or not await self._is_mine(now):
            return
        assert self._progress is not None
        instant = self._choose(now)
        limit = PUNCTUAL if self.cron.misfire == "skip" else self.cron.grace
        fired = self._progress.fired
        if self._late(instant, now) > limit:
            instant = self._expired(instant, now - limit)
            text = "%s: what was due until %s was missed; nothing fires for it"
            log.warning(text, self.title, self._local(instant))
        elif self.cron.overlap == "skip" and fired is not None and await self._is_pending(fired):
            log.info("%s: %s is left out, since the event before has not ended", self.title, self._local(instant))
        else:
            await self._enqueue(instant, now)
            fired = instant
        self._progress = Progress(instant, fired)
        await self._ledger.note(self._progress, now)

    def outlook(self, now: float) -> str:
        """The next instant as the schedule's own clocks show it, and since when one is due that nobody dealt with."""
        if self.instant is None:
            return "never again"
        assert self._moments is not None
        if self._due >= int(now):
            return f"next {self._local(self.instant)}"
        coming = self._moments.next(int(now))
        following = "none follows" if coming is None else f"next {self._local(coming)}"
        return f"overdue since {self._local(self.instant)}, {following}"

    async def _is_mine(self, now: float) -> bool:
        """Whether the schedule is there still and nobody has dealt with the instant.

        What is in time needs no look: who comes second is told so when it enqueues.
        """
        assert self.instant is not None
        if not await self.is_valid():
            self.is_over = True
            return False
        if now - self._due > PUNCTUAL or self.cron.overlap == "skip":
            progress = await self._ledger.read(now)
            self._progress = progress or self._progress
        assert self._progress is not None
        return self._progress.done < self.instant

    def _choose(self, now: float) -> int:
        """Which of the instants that are due is dealt with now."""
        assert self.instant is not None
        assert self._moments is not None
        if self.cron.misfire != "once" or self._late(self.instant, now) <= min(PUNCTUAL, self.cron.grace):
            return self.instant
        newest = self._moments.latest(self.instant, int(now))
        while newest > self.instant and self._due_of(newest) > now:
            newest = self._moments.latest(self.instant, newest - 1)
        return newest

    def _late(self, instant: int, now: float) -> float:
        return now - (self._due if instant == self.instant else self._due_of(instant))

    def _expired(self, instant: int, limit: float) -> int:
        """Up to where all is too late, when this instant is."""
        return instant if self.cron.misfire == "once" else max(instant, int(limit - self.cron.window) - 1)

    async def _enqueue(self, instant: int, now: float) -> None:
        assert self._progress is not None
        previous = self._progress.fired
        tick: Tick[Any] = Tick(
            schedule=self.title,
            scheduled=self._datetime(instant),
            fired=dt.datetime.fromtimestamp(now, dt.UTC),
            previous=None if previous is None else self._datetime(previous),
            tz=self.cron.tz,
            data=self._data,
        )
        event = Event(
            id=self._id_of(instant),
            source=SOURCE,
            type=TICK,
            subject=self.title,
            time=tick.scheduled,
            data=_encode(tick),
        )
        group = f"cron {self._identity}" if self.cron.overlap == "queue" else None
        try:
            await self._mapping.enqueue(event, group=group)
        except PayloadTooLarge as error:
            log.error("%s: %s cannot fire: %s", self.title, self._local(instant), error)  # noqa: TRY400  no bug here

    async def _is_pending(self, instant: int) -> bool:
        return await self._mapping.is_pending(SOURCE, self._id_of(instant))

    def _id_of(self, instant: int) -> str:
        identity = f"{self._function}\n{self._identity}\n{instant}"
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    def _due_of(self, instant: int) -> float:
        if not self.cron.window:
            return instant
        return instant + self.cron.window * int(self._id_of(instant)[:8], 16) / 2**32

    def _datetime(self, instant: int) -> dt.datetime:
        assert self._moments is not None
        return dt.datetime.fromtimestamp(instant, self._moments.zone.info)

    def _local(self, instant: int) -> str:
        return self._datetime(instant).isoformat(" ")
