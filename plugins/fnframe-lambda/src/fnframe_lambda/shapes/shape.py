"""Which shape an event gets, and what is made of the handler's answer to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from fnframe.provider import Problem

from ..origin import EVENT_TYPE

if TYPE_CHECKING:
    from fnframe import Event
    from fnframe.provider import Answer

    from ..names import Account
    from ..spec import EventFormat

HTTP = "fnframe.http.request"
TICK = "fnframe.cron.tick"
FILES = "fnframe.files."
QUEUE = "fnframe.queue.batch"
STREAM = "fnframe.stream.batch"
TABLE = "fnframe.dynamodb.batch"


class Shape(NamedTuple):
    """An event as AWS sends it, in plain JSON values. `answer` makes the result of what the handler returned, where
    that is more than passing it on."""

    event: Any
    answer: Callable[[Any], Answer] | None = None


def shape_of(event: Event, wanted: EventFormat, request_id: str, account: Account) -> Shape | None:
    """The shape of an event; None for one that goes to the handler as it is: what a caller sent itself.

    Raises `Problem` for data that has none in it: a change of a table, say, whose image is a number.
    """
    if wanted == "data" or event.type == EVENT_TYPE:
        return None
    try:
        return _shape_of(event, wanted, request_id, account)
    except Exception as error:  # Whoever sent the event wrote its data.
        form = "as AWS sends it" if wanted == "aws" else f"in the format {wanted!r}"
        problem = f"an event of {event.source} cannot be told {form}: {type(error).__name__}: {error}"
        raise Problem("Runtime.UnmarshalError", problem) from None


def _shape_of(event: Event, wanted: EventFormat, request_id: str, account: Account) -> Shape | None:
    # Each in a module of its own, which only a function with such events imports.
    if wanted == "aws:sns":
        from .notification import sns

        return Shape(sns(event, account))
    if wanted == "aws:eventbridge":
        from .bus import envelope

        return Shape(envelope(event, account))
    if event.type == HTTP:
        from .http import request, response

        return Shape(request(event, request_id, account), response)
    if event.type == TICK:
        from .bus import scheduled

        return Shape(scheduled(event, account))
    if event.type.startswith(FILES):
        from .files import notification

        return Shape(notification(event, request_id, account))
    if event.type == QUEUE:
        from .records import messages

        return Shape(messages(event, account))
    if event.type in (STREAM, TABLE):
        from .records import changes, stream_records

        as_table = event.type == TABLE or wanted == "aws:dynamodb"
        return Shape((changes if as_table else stream_records)(event, account))
    return None
