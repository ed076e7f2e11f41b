"""How far a function is in a partition of a stream: what is committed, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import anyio
import msgspec

from ..retry import persist

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Claim
    from ...outcome import Report


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """All records up to `position` are done, those of others beyond it maybe. Of a tumbling window that is open: when
    it began, and the state that its invocations left."""

    position: int = 0
    window: float | None = None
    state: bytes = b"{}"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Checkpoint).decode


def checkpoint_of(claim: Claim, starting: int) -> Checkpoint:
    """Where a partition goes on: at its checkpoint, or where the function begins that was not there before."""
    return _decode(claim.checkpoint) if claim.checkpoint else Checkpoint(starting)


class Committer:
    """Commits what `current` says, together with the reports since, whenever something was done."""

    def __init__(
        self, claim: Claim, current: Callable[[], Checkpoint], clock: Clock, what: str, changed: Callable[[], None]
    ) -> None:
        self._claim = claim
        self._current = current
        self._clock = clock
        self._what = what
        self._changed = changed
        self._reports: list[Report] = []
        self._news = anyio.Event()
        self._committed = current()

    def add(self, reports: Iterable[Report] = ()) -> None:
        """Something was done."""
        self._reports.extend(reports)
        self._news.set()

    @property
    def is_done(self) -> bool:
        """Whether all that was done is committed."""
        return not self._reports and self._committed == self._current()

    async def run(self) -> None:
        """Commit until cancelled, or until the partition is not ours any more."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            if not await self.flush():
                return

    async def flush(self) -> bool:
        """Commit what was done and is not committed; False if the partition is not ours any more."""
        if self.is_done:
            return True
        checkpoint, reports = self._current(), self._reports
        self._reports = []
        commit = partial(self._claim.commit, _encode(checkpoint), reports)
        try:
            kept = await persist(commit, self._clock, f"{self._what}: a checkpoint")
        except BaseException:  # Cancelled: it may have been kept, and is once more then.
            self._reports = [*reports, *self._reports]
            raise
        self._committed = checkpoint
        self._changed()
        return kept
