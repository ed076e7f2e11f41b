"""What a message of a queue holds, for a person: of a function's own queue, of the outbox, or of a user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..destination import masked
from .acceptance import PREFIX
from .carried import unwrapped
from .queues.asynchronous import decode_envelope
from .settled.outbox import OUTBOX, decode_letter

if TYPE_CHECKING:
    from ..engine.protocol import Message
    from ..event import Event


class Contents(NamedTuple):
    """The data; the event that has it, where it is one; and where it was to be posted to, of a URL the host alone."""

    data: bytes
    event: Event | None = None
    destination: str | None = None


def contents_of(queue: str, message: Message) -> Contents:
    """What the message of this queue holds; its body, where that is of another version."""
    try:
        if queue == OUTBOX:
            letter = decode_letter(message.body)
            return Contents(letter.record.data, letter.record, masked(letter.url))
        if queue.startswith(PREFIX):
            event = decode_envelope(message.body).event
            return Contents(event.data, event)
    except msgspec.DecodeError:
        return Contents(message.body)
    return Contents(unwrapped(message.body).data)
