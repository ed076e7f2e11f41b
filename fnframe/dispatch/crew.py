"""Tasks that stay: starting one for each event would cost as much as the event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..environment.readiness import park

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Work = TypeVar("Work")
Work_co = TypeVar("Work_co", covariant=True)


class Supply(Protocol[Work_co]):
    """Where a crew finds its work. True while there is some to be taken."""

    def __bool__(self) -> bool: ...

    def take(self) -> Work_co:
        """The next piece; called only while there is one."""


class Crew(Generic[Work]):
    """Up to `most` tasks, which `do` what is in the supply. `most` may change at any time.

    A task is started only when all others are busy. Whoever takes work calls the next if there is more, so that a
    burst which one task does without waiting wakes no other.
    """

    def __init__(
        self, tasks: TaskGroup, most: int, supply: Supply[Work], do: Callable[[Work], Awaitable[None]]
    ) -> None:
        self._tasks = tasks
        self.most = most
        self._supply = supply
        self._do = do
        self._resting: list[Callable[[], object]] = []
        self._called = False
        self.busy = 0

    @property
    def free(self) -> int:
        """How many pieces could begin now."""
        return self.most - self.busy

    def call(self) -> None:
        """There is work: have somebody look, if anybody can. Called from anywhere, as often as one likes."""
        if self._called or self.busy >= self.most:
            return
        self._called = True
        if self._resting:
            self._resting.pop()()
        else:
            self._tasks.start_soon(self._work)

    async def _work(self) -> None:
        self._called = False
        while True:
            while self._supply and self.busy < self.most:
                work = self._supply.take()
                if self._supply:
                    self.call()
                self.busy += 1
                try:
                    await self._do(work)
                finally:
                    self.busy -= 1
            await self._rest()

    async def _rest(self) -> None:
        wait, wake = park()
        self._resting.append(wake)
        await wait
        self._called = False
