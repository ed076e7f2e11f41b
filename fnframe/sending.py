"""Where a handler sends something: the words for it, and what may come with it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["function", "queue", "stream"]

RESERVED = ("fnframe:", "function:")
"""Queues and streams whose names begin like this are fnframe's own."""


class Target(NamedTuple):
    """A function, a queue or a stream, by name."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def check_name(name: object) -> None:
    """Raises `ValueError` for what is no name of a queue or stream of a user's."""
    if not isinstance(name, str) or not name or not name.isprintable() or name.startswith(RESERVED):
        raise ValueError(
            f"expected a name such as 'orders', found {name!r}; those that begin with "
            f"{' or '.join(map(repr, RESERVED))} are fnframe's own"
        )


def target_of(text: str) -> Target:
    """The target that `"orders"`, `"queue:orders"`, `"stream:clicks"` or `"function:bill"` names.

    Raises `ValueError` for what names none.
    """
    kind, colon, name = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon:
        kind, name = "queue", text
    if kind not in ("function", "queue", "stream"):
        raise ValueError(f"expected a queue ('orders', 'queue:orders') or a stream ('stream:clicks'), found {text!r}")
    check_name(name)
    return Target(kind, name)  # type: ignore[arg-type]


def sendable(
    target: str, *, key: str | None = None, group: str | None = None, id: str | None = None, delay: float = 0.0  # noqa: A002
) -> Target:  # fmt: skip
    """The queue or stream to send to. Raises `ValueError` where what is given beside the data makes no sense there."""
    found = target_of(target)
    for name, value in (("key", key), ("group", group), ("id", id)):
        if value is not None and not _is_text(value):
            raise ValueError(f"{name} must be a text, found {value!r}: write {name}=str(...)")
    if found.kind == "function":
        raise ValueError(f"{target!r} is a function: invoke it with enqueue({found.name!r}, ...)")
    if found.kind == "stream" and (key is None or group is not None or delay):
        raise ValueError(
            f"a record for the stream {found.name!r} needs a key, by which it is ordered, and nothing else"
        )
    if found.kind == "queue" and key is not None:
        raise ValueError(f"a message for the queue {found.name!r} has no key: its group says what is kept in order")
    if not isinstance(delay, (int, float)) or not 0 <= delay <= 366 * 86_400:
        raise ValueError(f"delay must be a number of seconds from 0 to a year, found {delay!r}")
    return found


def _is_text(value: object) -> bool:
    """Whether it is one that everybody can read: with half a surrogate, no UTF-8 holds it."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
