"""Dead letters as the command line names and shows them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..cloudevents import to_structured
from ..dispatch.acceptance import PREFIX
from ..dispatch.contents import contents_of
from ..errors import nearest
from ..event import UNDECODABLE
from .errors import UsageError
from .output import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.protocol import DeadLetter, Engine

PAGE = 500
"""Dead letters that are asked for at once."""


class Found(NamedTuple):
    """A dead letter and the queue that it lies in."""

    queue: str
    letter: DeadLetter

    @property
    def handle(self) -> str:
        """Eight characters that stand for it: an id is long, and unique in its queue only."""
        name = f"{self.queue}\0{self.letter.message.id}"
        return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()

    @property
    def error(self) -> dict[str, Any]:
        """The error of its last attempt, in Lambda's form; empty where there is none."""
        try:
            error = msgspec.json.decode(self.letter.error)
        except msgspec.DecodeError:
            return {}
        return error if isinstance(error, dict) else {}

    @property
    def problem(self) -> str:
        """Why it was given up on, in one line."""
        message = str(self.error.get("errorMessage", ""))
        reason = self.letter.reason if message in self.letter.reason else f"{self.letter.reason}: {message}"
        return harmless(" ".join(reason.split()))


async def letters(engine: Engine, queue: str | None) -> list[Found]:
    """All dead letters, or those of one queue, the oldest of each queue first.

    Raises `UsageError` for a queue that holds nothing, with those that do.
    """
    names = sorted(await engine.queues())
    if queue is not None:
        names = [_queue_of(queue, names)]
    return [Found(name, letter) for name in names for letter in await _letters_of(engine, name)]


def chosen(found: Sequence[Found], words: Sequence[str]) -> list[Found]:
    """The letters that the words name: each by the beginning of its handle, or by its whole id.

    Raises `UsageError` for a word that names none, or several.
    """
    return list(dict.fromkeys(_one(found, word) for word in words))


def to_json(found: Found, *, whole: bool = False) -> dict[str, Any]:
    """A dead letter for programs, with its data if all of it is wanted."""
    queue, letter = found
    described: dict[str, Any] = {
        "handle": found.handle,
        "queue": queue,
        "id": letter.message.id,
        "group": letter.message.group,
        "accepted": dt.datetime.fromtimestamp(letter.message.accepted, dt.UTC),
        "died": dt.datetime.fromtimestamp(letter.died, dt.UTC),
        "attempts": letter.message.attempt,
        "lost": letter.message.lost,
        "reason": letter.reason,
        "error": found.error or None,
    }
    if whole:
        data, event, destination = contents_of(queue, letter.message)
        described["destination"] = destination
        described["event"] = msgspec.Raw(to_structured(event)) if event is not None else None
        described["data"] = _raw(data)
    return described


def shown(found: Found) -> str:
    """A dead letter for a person, over several lines."""
    queue, letter = found
    message, error = letter.message, found.error
    data, event, destination = contents_of(queue, message)
    lost = f", {message.lost} of them ended its environment" if message.lost else ""
    rows = [
        ["queue", queue],
        ["id", message.id],
        ["accepted", moment(message.accepted).isoformat(" ", "milliseconds")],
        ["died", moment(letter.died).isoformat(" ", "milliseconds")],
        ["attempts", f"{message.attempt}{lost}"],
        ["reason", letter.reason],
    ]
    if error:
        rows.append(["error", f"{error.get('errorType', '')}: {error.get('errorMessage', '')}"])
    if destination is not None:
        rows.append(["goes to", destination])
    if event is not None:
        rows.append(["event", " ".join(filter(None, [event.type, "from", event.source, event.subject]))])
    stack = [str(line).rstrip() for line in error.get("stackTrace") or []]
    lines = [*aligned(rows), *stack, "", _readable(data)]
    return "\n".join(harmless(line) for line in lines)


def moment(seconds: float) -> dt.datetime:
    """A moment on the local clock."""
    return dt.datetime.fromtimestamp(seconds).astimezone()


def shortened(text: str, most: int) -> str:
    """A text of so many characters at the most."""
    text = harmless(text)
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def harmless(text: str) -> str:
    """A text without what would steer a terminal: it may come from anybody."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def _queue_of(queue: str, names: Sequence[str]) -> str:
    """A queue is named as it is, or by the function whose own queue it is."""
    for name in (queue, f"{PREFIX}{queue}"):
        if name in names:
            return name
    if not names:
        raise UsageError(f"the queue {queue!r} holds nothing, and no other does")
    known = [*names, *(name.removeprefix(PREFIX) for name in names)]
    raise UsageError(f"the queue {queue!r} holds nothing{nearest(queue, known)}; queues that do: {', '.join(names)}")


async def _letters_of(engine: Engine, queue: str) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    while page := await engine.queue(queue).dead_letters(PAGE, after=found[-1].message.id if found else ""):
        found += page
    return found


def _one(found: Sequence[Found], word: str) -> Found:
    named = [each for each in found if each.letter.message.id == word]
    named = named or [each for each in found if word and each.handle.startswith(word)]
    if not named:
        hint = nearest(word, [each.handle for each in found])
        raise UsageError(f"there is no dead letter {word!r}{hint}: `fnframe dlq list` names them")
    if len(named) > 1:
        handles = ", ".join(each.handle for each in named[:5])
        raise UsageError(f"{word!r} names {len(named)} dead letters: {handles}{', ...' if len(named) > 5 else ''}")
    return named[0]


def _readable(data: bytes) -> str:
    try:
        return msgspec.json.format(data, indent=2).decode()
    except UNDECODABLE:
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"{len(data):,} bytes that are no text"


def _raw(data: bytes) -> Any:
    """As it is if it is JSON, else as text, else in base64."""
    try:
        msgspec.json.decode(data)
        return msgspec.Raw(data)
    except UNDECODABLE:
        pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
