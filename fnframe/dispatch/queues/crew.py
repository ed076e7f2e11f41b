"""Tasks that stay: starting one for each event would cost as much as the event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ...environment.readiness import park

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Work = TypeVar("Work")
Work_co = TypeVar("Work_co", covariant=True)
Done = TypeVar("Done")

MOST_FINISHING = 256
"""Pieces that are finished at once, beside those that are done: an engine commits together what comes together."""


class Supply(Protocol[Work_co]):
    """Where a crew finds its work. True while there is some to be taken."""

    def __bool__(self) -> bool: ...

    def take(self) -> Work_co:
        """The next piece; called only while there is one."""


class Crew(Generic[Work, Done]):
    """Tasks that `do` what is in the supply, at most `most` pieces at once, and then `finish` it, many at once.

    A task is started only when all others are busy. Whoever takes work calls the next if there is more, so that what
    one task does without waiting wakes no other. `most` may change at any time.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        most: int,
        supply: Supply[Work],
        do: Callable[[Work], Awaitable[Done]],
        finish: Callable[[Work, Done], Awaitable[None]],
    ) -> None:
        self.most = most
        self.busy = 0
        """How many pieces are being done."""
        self._tasks = tasks
        self._supply = supply
        self._do = do
        self._finish = finish
        self._members = 0
        self._resting: list[Callable[[], object]] = []
        self._called = False

    @property
    def free(self) -> int:
        """How many pieces could begin now."""
        return self.most - self.busy

    def call(self) -> None:
        """If there is work, have somebody look, if anybody can. Called from anywhere, as often as one likes."""
        if self._called or self.busy >= self.most or not self._supply:
            return
        if self._resting:
            self._called = True
            self._resting.pop()()
        elif self._members < self.most + MOST_FINISHING:
            self._called = True
            self._members += 1
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        self._called = False
        while True:
            while self._supply and self.busy < self.most:
                work = self._supply.take()
                self.busy += 1
                self.call()
                try:
                    done = await self._do(work)
                finally:
                    self.busy -= 1
                self.call()
                await self._finish(work, done)
            await self._rest()

    async def _rest(self) -> None:
        wait, wake = park()
        self._resting.append(wake)
        await wait
        self._called = False
