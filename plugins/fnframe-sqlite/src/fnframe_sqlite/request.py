"""What a caller asks of the writer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import anyio

from fnframe.errors import FnframeError

if TYPE_CHECKING:
    from .transaction import Transaction

Answer = TypeVar("Answer")


class Reply(Protocol):
    """What a caller awaits until it is set, once, in the event loop. `asyncio.Future` is one."""

    def done(self) -> bool: ...

    def set_result(self, result: None, /) -> None: ...

    def __await__(self) -> Generator[Any, Any, None]: ...


class EventReply:
    """One for a caller who waits by the clock."""

    def __init__(self) -> None:
        self.event = anyio.Event()

    def done(self) -> bool:
        return self.event.is_set()

    def set_result(self, _: None, /) -> None:
        self.event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self.event.wait().__await__()


class Request(Generic[Answer]):
    """A function to call within a transaction, with its arguments.

    `writes`: it changes something; `synced`: what it changes must be on the disk before its caller goes on; `urgent`:
    its caller does nothing else meanwhile, so it waits for no others that could share its commit. One with a
    `channel` (a queue's number, or a partition's as a negative number) that is `patient` waits there while its answer
    is empty; a queue's wants so many messages (`wanted`). `undo` is called, in the event loop, with an answer for which
    nobody waits any more.
    """

    __slots__ = (
        "abandoned", "answer", "arguments", "channel", "error", "finished", "function", "patient", "reply", "synced",
        "undo", "urgent", "wanted", "writes",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Answer],
        *arguments: Any,
        writes: bool = True,
        synced: bool = True,
        urgent: bool = True,
        undo: Callable[[Answer], None] | None = None,
        channel: Callable[[Transaction], int] | None = None,
        patient: bool = False,
        wanted: int = 0,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.writes = writes
        self.synced = synced
        self.urgent = urgent
        self.undo = undo
        self.channel = channel
        self.patient = patient
        self.wanted = wanted
        self.abandoned = False
        self.finished = False
        self.reply: Reply | None = None
        self.answer: Answer | None = None
        self.error: Exception | None = None

    def run(self, tx: Transaction) -> None:
        """Find the answer. What refuses, does so before it changes anything; other errors end the transaction."""
        self.error = None
        try:
            self.answer = self.function(tx, *self.arguments)
        except (FnframeError, FileNotFoundError) as refusal:
            self.error = refusal

    def finish(self) -> None:
        """In the event loop: let the caller go on, or undo what nobody waits for any more."""
        self.finished = True
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(None)
        if self.abandoned:
            self._undo()

    def abandon(self) -> None:
        """In the event loop: nobody waits for it any more."""
        self.abandoned = True
        if self.finished:
            self._undo()

    def _undo(self) -> None:
        if self.undo is not None and self.error is None and self.answer is not None:
            self.undo(self.answer)

    @property
    def waits(self) -> bool:
        """Whether it goes on waiting."""
        return self.patient and not self.abandoned and not self.answer and self.error is None
