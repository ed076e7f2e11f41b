"""A queue, and the leases of its messages, as the protocol has them."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from fnframe.engine.protocol import DeadLetter, Lease, Message, QueueStatistics

from . import messages as sql
from .messages import Held, Sent, Taken
from .request import Request

if TYPE_CHECKING:
    from fnframe.outcome import Report

    from .writer import Writer


log = logging.getLogger("fnframe.sqlite")


class SqliteQueue:
    """A queue in the file."""

    def __init__(self, name: str, writer: Writer) -> None:
        self.name = name
        self._writer = writer

    async def send(self, messages: Sequence[Message], *, delay: float = 0.0) -> list[bool]:
        while True:
            sent = [Sent(message, await self._writer.bodies.keep(message.body)) for message in messages]
            try:
                return await self._writer.ask(Request(sql.send, self.name, sent, delay))
            except FileNotFoundError:
                continue  # It took so long that its large bodies were taken for leftovers.
            except Exception:
                self._writer.bodies.remove(file for _, file in sent if file is not None)
                raise

    async def receive(self, most: int, seconds: float, *, wait: float = math.inf) -> list[SqliteLease]:
        number = random.getrandbits(62)
        request = Request(
            sql.take,
            self.name,
            most,
            seconds,
            number,
            synced=False,
            undo=lambda taken: self._give_back(taken, number),
            channel=lambda tx: tx.queue(self.name).number,
            patient=wait > 0,
            wanted=most,
        )
        while True:
            taken = await self._writer.ask(request, wait=wait)
            try:
                leases = [lease for each in taken if (lease := await self._lent(each, number)) is not None]
            except BaseException:
                self._give_back(taken, number)
                raise
            if leases or not taken:
                return leases

    async def ack(self, leases: Sequence[Lease], report: Report | None = None) -> None:
        held = [lease for lease in leases if isinstance(lease, SqliteLease)]
        await self._writer.ask(
            Request(sql.ack, [lease.held for lease in held], report, urgent=_holds_up_others(leases))
        )
        for lease in held:
            lease.settled = True

    async def extend(self, leases: Sequence[Lease], seconds: float) -> list[bool]:
        held: list[Held] = [lease.held for lease in leases if isinstance(lease, SqliteLease)]
        return await self._writer.ask(Request(sql.extend, held, seconds, synced=False, urgent=False))

    async def holds(self, id: str) -> bool:  # noqa: A002
        return await self._writer.ask(Request(sql.holds, self.name, id, writes=False))

    async def statistics(self) -> QueueStatistics:
        return await self._writer.ask(Request(sql.statistics, self.name, writes=False))

    async def dead_letters(self, most: int = 100, *, after: str = "") -> list[DeadLetter]:
        found = await self._writer.ask(Request(sql.dead_letters, self.name, most, after, writes=False))
        return [await self._whole_letter(letter, file) for letter, file in found]

    async def redrive(self, ids: Sequence[str]) -> int:
        return await self._writer.ask(Request(sql.redrive, self.name, ids))

    async def purge(self, ids: Sequence[str]) -> int:
        return await self._writer.ask(Request(sql.purge, self.name, ids))

    async def _lent(self, taken: Taken, number: int) -> SqliteLease | None:
        """The lease of what was taken; None where its body is not there any more, which no retry would mend."""
        try:
            message = await self._whole(taken.message, taken.file)
        except FileNotFoundError as error:
            log.error("queue %r: the body of message %s is gone: %s", self.name, taken.message.id, error)  # noqa: TRY400
            await SqliteLease(self._writer, taken.place, number, taken.message).bury(f"its body is gone: {error}")
            return None
        return SqliteLease(self._writer, taken.place, number, message)

    async def _whole(self, message: Message, file: str | None) -> Message:
        if file is None:
            return message
        return replace(message, body=await self._writer.bodies.read(file))

    async def _whole_letter(self, letter: DeadLetter, file: str | None) -> DeadLetter:
        try:
            return replace(letter, message=await self._whole(letter.message, file))
        except FileNotFoundError:
            return letter  # Its reason says that the body is gone.

    def _give_back(self, taken: Sequence[Taken], number: int) -> None:
        for each in taken:
            self._writer.tell(Request(sql.release, each.place, number, 0.0, False, False, None))


class SqliteLease:
    """A message of a `SqliteQueue`, lent: its place, and the number of the lease."""

    __slots__ = ("_writer", "held", "message", "settled")

    def __init__(self, writer: Writer, place: int, number: int, message: Message) -> None:
        self.message = message
        self.held = (place, number)
        self.settled = False
        """Whether it is known to have ended."""
        self._writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.settled:
            # Not waited for: who leaves may be cancelled, and if it is lost the lease runs out.
            self._writer.tell(Request(sql.release, *self.held, 0.0, False, False, None))

    async def ack(self, report: Report | None = None) -> None:
        await self._settle(Request(sql.ack, [self.held], report, urgent=_holds_up_others([self])))

    async def release(self, delay: float, *, counted: bool, lost: bool = False, report: Report | None = None) -> None:
        urgent = _holds_up_others([self])
        await self._settle(Request(sql.release, *self.held, delay, counted, lost, report, urgent=urgent))

    async def bury(self, reason: str, error: bytes = b"null", *, report: Report | None = None) -> None:
        urgent = _holds_up_others([self])
        await self._settle(Request(sql.bury, *self.held, reason, error, report, urgent=urgent))

    async def extend(self, seconds: float) -> bool:
        return (await self._writer.ask(Request(sql.extend, [self.held], seconds, synced=False, urgent=False)))[0]

    async def _settle(self, request: Request[None]) -> None:
        await self._writer.ask(request)
        self.settled = True


def _holds_up_others(leases: Sequence[Lease]) -> bool:
    """Whether messages wait for the end of these: those of their group."""
    return any(lease.message.group is not None for lease in leases)
