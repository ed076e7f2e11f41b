"""All schedules of one process on one heap, and who waits for the first of them."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from fnframe import FnframeError

from .progress import SETBACK

if TYPE_CHECKING:
    from fnframe.clock import Clock

    from .entry import Entry

log = logging.getLogger("fnframe.cron")

AT_ONCE = 64
"""So many firings may wait for the engine together: one that writes to a disk takes them in one step."""
FIRINGS = 32
NEXT = 4
"""So many events are handed over, and next instants found, before others in the event loop have their turn. To find an
instant may take a hundred times as long as what the others want."""
AGAIN = 1.0
"""Seconds after which a firing that the engine refused is tried again."""


class Agenda:
    """Fires entries when they are due. To find next instants comes second: it is done in slices, between firings."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Entry, None] = {}
        self._heap: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._unplanned: deque[Entry] = deque()
        self._refused: set[Entry] = set()
        self._changed = anyio.Event()
        self._latest = clock.time()

    def __repr__(self) -> str:
        return f"<Agenda: {len(self._entries)} schedules, {len(self._unplanned)} to plan>"

    @property
    def is_planned(self) -> bool:
        """Whether the next instant of every entry is known."""
        return not self._unplanned

    def add(self, entry: Entry) -> None:
        self._entries[entry] = None
        self._unplanned.append(entry)
        self._changed.set()

    def remove(self, entry: Entry) -> None:
        entry.is_over = True
        self._entries.pop(entry, None)
        self._refused.discard(entry)

    async def run(self) -> None:
        """Fire what is due until cancelled."""
        while True:
            now = self._clock.time()
            if now < self._latest - SETBACK:
                self._begin_anew(now)
            self._latest = now
            if due := self._take_due(now):
                await self._fire(due)
            elif self._unplanned:
                await self.plan(NEXT)
                if self._unplanned:
                    await checkpoint()
            else:
                await self._rest()

    async def plan(self, most: int) -> None:
        """Find the next instants of up to so many entries."""
        now = self._clock.time()
        for _ in range(min(most, len(self._unplanned))):
            entry = self._unplanned.popleft()
            try:
                due = None if entry.is_over else await entry.plan(now)
                if due is None:
                    await entry.ended()
            except FnframeError as error:
                self._refuse(entry, now, error)
            else:
                self._refused.discard(entry)
                if due is not None:
                    self._put(entry, due)

    def _put(self, entry: Entry, due: float) -> None:
        heapq.heappush(self._heap, (due, next(self._order), entry))

    def _take_due(self, now: float) -> deque[Entry]:
        due: deque[Entry] = deque()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)[2]
            if not entry.is_over:
                due.append(entry)
        return due

    async def _fire(self, due: deque[Entry]) -> None:
        if len(due) == 1:
            await self._fire_one(due.popleft())
            await checkpoint()
        else:
            async with anyio.create_task_group() as tasks:
                for _ in range(min(AT_ONCE, len(due))):
                    tasks.start_soon(self._work_off, due)

    async def _work_off(self, due: deque[Entry]) -> None:
        for number in itertools.count(1):
            if not due:
                return
            await self._fire_one(due.popleft())
            if number % FIRINGS == 0:
                await checkpoint()

    async def _fire_one(self, entry: Entry) -> None:
        now = self._clock.time()
        try:
            await entry.fire(now)
        except FnframeError as error:
            self._refuse(entry, now, error)
        else:
            self._unplanned.append(entry)

    def _refuse(self, entry: Entry, now: float, error: FnframeError) -> None:
        """The engine cannot do it now, or the function is gone: try again."""
        if entry not in self._refused:
            self._refused.add(entry)
            log.warning("%s cannot fire now and is tried again each second: %s", entry.title, error)
        self._put(entry, now + AGAIN)

    async def _rest(self) -> None:
        self._changed = anyio.Event()
        if self._heap:
            await self._clock.wait_for_time(self._changed, self._heap[0][0])
        else:
            await self._changed.wait()

    def _begin_anew(self, now: float) -> None:
        """The clock was wrong: what was planned by it does not count."""
        log.warning("the clock was set back by more than %.0f hours: schedules go on from now", SETBACK / 3600)
        self._heap.clear()
        self._unplanned = deque(self._entries)
        for entry in self._entries:
            entry.begin_anew(now)
