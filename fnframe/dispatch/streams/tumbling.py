"""Tumbling windows: which records belong together, and the state that goes from one invocation to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...batch_event import Span

if TYPE_CHECKING:
    from ...engine.protocol import Record
    from .checkpoint import Checkpoint

LARGEST_STATE = 1024 * 1024
"""Bytes of JSON: over it, a window ends early."""
LATENESS = 0.5
"""Seconds after a window's end for which a record that was accepted within it may still come to be seen."""
EMPTY = b"{}"


class Tumbling:
    """The windows of one partition, `seconds` long, by when records were accepted; one is open at a time."""

    def __init__(self, seconds: float, checkpoint: Checkpoint) -> None:
        self._seconds = seconds
        self.start = checkpoint.window
        self.state = checkpoint.state

    @property
    def closes(self) -> float | None:
        """When the open window is over, in seconds since the epoch; None if none is open."""
        return None if self.start is None else self.start + self._seconds + LATENESS

    def admits(self, record: Record) -> bool:
        """Whether a record belongs to the window that is open; where none is, it opens its own."""
        begin = record.accepted - record.accepted % self._seconds
        if self.start is None:
            self.start = begin
        return begin <= self.start  # What comes late belongs to the window that is open.

    def span(self, *, is_final: bool, is_terminated_early: bool) -> Span:
        """The open window, as an invocation is told of it."""
        assert self.start is not None
        return Span(self.start, self.start + self._seconds, is_final, is_terminated_early)

    def close(self) -> None:
        """The window's last invocation is done."""
        self.start, self.state = None, EMPTY
