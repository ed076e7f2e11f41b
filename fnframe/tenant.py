"""Whose invocation it is: what a function's `tenant=` declares, and how it is read from an event."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from .event import UNDECODABLE

if TYPE_CHECKING:
    from .event import Event

LONGEST = 256
"""Characters of a tenant; the rest is cut off, since it comes from outside."""

EXTENSION = "tenant"
"""The extension attribute in which events that a handler enqueues carry the tenant on."""

Headers = Callable[["Event", str, str], str | None]
"""An event's header of a name; the kind of its trigger is in between."""

_DECLARATION = re.compile(r"header:(?P<header>[!#$%&'*+.^_`|~0-9A-Za-z-]+)|\$(?P<path>(?:\.[^.\[\]\s]+)+)")


def is_declaration(text: object) -> bool:
    """Whether a tenant can be found by this."""
    return isinstance(text, str) and _DECLARATION.fullmatch(text) is not None


def tenant_reader(declaration: str, header_of: Headers) -> Callable[[Event, str], str | None]:
    """What finds the tenant in an event, given the kind of the trigger that it came by; None where there is none."""
    found = _DECLARATION.fullmatch(declaration)
    assert found is not None
    name = found["header"]
    if name is None:
        return _reader_of_path(found["path"].split(".")[1:])
    return lambda event, trigger: _text(header_of(event, trigger, name))


def _reader_of_path(names: list[str]) -> Callable[[Event, str], str | None]:
    # A type that knows these fields alone: all else in the data is skipped, whatever its size.
    type_: Any = str | int | None
    for name in reversed(names):
        type_ = msgspec.defstruct("Level", [("value", type_, None)], rename={"value": name}) | None
    decode = msgspec.json.Decoder(type_).decode

    def read(event: Event, _: str) -> str | None:
        try:
            value = decode(event.data)
        except UNDECODABLE:
            return None
        for _name in names:
            value = value.value if value is not None else None
        return _text(value)

    return read


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)[:LONGEST] or None
