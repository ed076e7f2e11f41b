"""What is to happen when: for leases, delays and claims of an engine in memory."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

SLACK = 64
"""So many entries that no longer count may lie on the heap, beside as many as there are items."""


class Agenda(Generic[Item]):
    """Items, each with its moment. Setting, taking off and finding the next cost O(log n) at the most."""

    def __init__(self) -> None:
        self._moments: dict[Item, float] = {}
        self._heap: list[tuple[float, int, Item]] = []
        self._order = itertools.count()

    def __contains__(self, item: Item) -> bool:
        return item in self._moments

    def __len__(self) -> int:
        return len(self._moments)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._moments)

    def set(self, item: Item, moment: float) -> None:
        """Put the item on the agenda, or to another moment."""
        self._moments[item] = moment
        heapq.heappush(self._heap, (moment, next(self._order), item))
        if len(self._heap) > 2 * len(self._moments) + SLACK:
            self._heap = [entry for entry in self._heap if self._moments.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def discard(self, item: Item) -> bool:
        """Take the item off; whether it was there."""
        return self._moments.pop(item, None) is not None

    def due(self, now: float) -> Iterator[Item]:
        """Take off what has come, the earliest first; of one moment, what was set first."""
        while self._heap and self._heap[0][0] <= now:
            moment, _, item = heapq.heappop(self._heap)
            if self._moments.get(item) == moment:
                del self._moments[item]
                yield item

    def next(self) -> float:
        """The earliest moment; infinity where there is none."""
        while self._heap:
            moment, _, item = self._heap[0]
            if self._moments.get(item) == moment:
                return moment
            heapq.heappop(self._heap)
        return math.inf
