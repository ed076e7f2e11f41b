"""What a caller asks of the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from fnframe.errors import FnframeError

if TYPE_CHECKING:
    from .transaction import Transaction

Answer = TypeVar("Answer")


class Request(Generic[Answer]):
    """A function to call within a transaction, with its arguments.

    `writes`: it changes something; `synced`: what it changes must be on the disk before its caller goes on. One with a
    `channel` (a queue's number, or a partition's as a negative number) that is `patient` waits there while its answer
    is empty; a queue's wants so many messages (`wanted`). `undo` is called, in the event loop, with an answer for which
    nobody waits any more.
    """

    __slots__ = (
        "abandoned", "answer", "arguments", "channel", "done", "error", "function", "patient", "synced", "undo",
        "wanted", "writes",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Answer],
        *arguments: Any,
        writes: bool = True,
        synced: bool = True,
        undo: Callable[[Answer], None] | None = None,
        channel: Callable[[Transaction], int] | None = None,
        patient: bool = False,
        wanted: int = 0,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.writes = writes
        self.synced = synced
        self.undo = undo
        self.channel = channel
        self.patient = patient
        self.wanted = wanted
        self.abandoned = False
        self.done = anyio.Event()
        self.answer: Answer | None = None
        self.error: Exception | None = None

    def run(self, tx: Transaction) -> None:
        """Find the answer. What refuses, does so before it changes anything; other errors end the transaction."""
        self.error = None
        try:
            self.answer = self.function(tx, *self.arguments)
        except (FnframeError, FileNotFoundError) as refusal:
            self.error = refusal

    @property
    def waits(self) -> bool:
        """Whether it goes on waiting."""
        return self.patient and not self.abandoned and not self.answer and self.error is None
