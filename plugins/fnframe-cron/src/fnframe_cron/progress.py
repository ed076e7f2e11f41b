"""What is known of a schedule's past: in the engine's state, so that restarts and other processes know it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from fnframe import State

SETBACK = 3 * 3600.0
"""A clock that is set back by more than this, in seconds, was wrong before: what happened after now is forgotten."""


class Progress(msgspec.Struct, frozen=True):
    """Up to where a schedule's instants are dealt with, and the last of them that fired."""

    done: int
    fired: int | None = None

    def credible(self, now: float) -> Progress:
        """This, or a new beginning where it is of a time that a wrong clock showed."""
        return self if self.done <= now + SETBACK else Progress(int(now))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Progress).decode


class Ledger:
    """Where the progress of one schedule is kept."""

    __slots__ = ("_key", "_state", "_value")

    def __init__(self, state: State, key: str) -> None:
        self._state = state
        self._key = key
        self._value: bytes | None = None
        """What was there when it was looked at last."""

    async def begin(self, now: float, since: int) -> Progress:
        """The progress until now; of a schedule that is new, that all before `since` is no business of its."""
        while True:
            progress = await self.read(now)
            if progress is not None:
                return progress
            progress = Progress(since).credible(now)
            if await self._put(progress):
                return progress

    async def read(self, now: float) -> Progress | None:
        """The progress now; None where there is none."""
        self._value = await self._state.get(self._key)
        return None if self._value is None else _decode(self._value).credible(now)

    async def note(self, progress: Progress, now: float) -> None:
        """Keep what is dealt with now, unless somebody has come further or the schedule is gone."""
        while self._value is not None and not await self._put(progress):
            known = await self.read(now)
            if known is None or known.done >= progress.done:
                return

    async def _put(self, progress: Progress) -> bool:
        """Set it, where it is still what it was."""
        value = _encode(progress)
        if await self._state.compare_and_set(self._key, self._value, value):
            self._value = value
            return True
        return False
