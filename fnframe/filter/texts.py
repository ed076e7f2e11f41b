"""Tests of texts. Each is made for several texts at once, of which one must fit; what is no text never fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .reasons import Invalid

Test = Callable[[Any], bool]

MOST_STARS = 5
"""How many `*` a wildcard may have. EventBridge has such a limit without telling it: six were refused."""

TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard "
    "character"
)

_TOKEN = re.compile(r"\\[*\\]|.", re.DOTALL)


def starts(texts: tuple[str, ...]) -> Test:
    """Whether a value begins with one of the texts."""
    return lambda value: type(value) is str and value.startswith(texts)


def ends(texts: tuple[str, ...]) -> Test:
    """Whether a value ends with one of the texts."""
    return lambda value: type(value) is str and value.endswith(texts)


def equals_ignoring_case(texts: tuple[str, ...]) -> Test:
    """Whether a value is one of the texts but for the case of its letters."""
    return _matches(re.compile(_in_any_case(texts)).fullmatch)


def starts_ignoring_case(texts: tuple[str, ...]) -> Test:
    """Whether a value begins with one of the texts but for the case of its letters."""
    return _matches(re.compile(_in_any_case(texts)).match)


def ends_ignoring_case(texts: tuple[str, ...]) -> Test:
    """Whether a value ends with one of the texts but for the case of its letters."""
    return _matches(re.compile(rf"{_in_any_case(texts)}\Z").search)


def like(texts: tuple[str, ...]) -> Test:
    r"""Whether a value fits one of the wildcards, where `*` is any run of characters, and `\*` and `\\` are themselves.

    Raises `Invalid`.
    """
    wildcards = [_pieces(text) for text in texts]
    return lambda value: type(value) is str and any(_fits(value, pieces) for pieces in wildcards)


def _matches(match: Callable[[str], object]) -> Test:
    return lambda value: type(value) is str and match(value) is not None


def _in_any_case(texts: Iterable[str]) -> str:
    """A regular expression for the texts in any case.

    EventBridge compares the characters of the pattern one by one, each in its upper and its lower case: a pattern `ß`
    fits `SS`, and a pattern `SS` does not fit `ß`.
    """
    return f"(?:{'|'.join(''.join(map(_either_case, text)) for text in texts)})"


def _either_case(character: str) -> str:
    if ord(character) > 0xFFFF:  # Two units for EventBridge, neither of which has a case.
        return character
    forms = {character.lower(), character.upper()}
    return f"(?:{'|'.join(map(re.escape, forms))})" if len(forms) > 1 else re.escape(character)


def _pieces(text: str) -> list[str]:
    """What lies between the `*` of a wildcard."""
    pieces = [""]
    for token in _TOKEN.finditer(text):
        if token.group() == "*":
            if text.startswith("*", token.end()):
                raise Invalid(f"Consecutive wildcard characters at pos {_position(token)}")
            pieces.append("")
        elif token.group() == "\\":
            raise Invalid(f"Invalid escape character at pos {_position(token)}")
        else:
            pieces[-1] += token.group().removeprefix("\\")
    if len(pieces) > MOST_STARS + 1:
        raise Invalid(TOO_COMPLEX)
    return pieces


def _position(token: re.Match[str]) -> int:
    """As EventBridge counts: in bytes, with the quotes around the text."""
    return len(f'"{token.string[: token.start()]}'.encode())


def _fits(value: str, pieces: list[str]) -> bool:
    """Whether a text consists of the pieces with anything in between.

    Each is looked for where the one before it ended, without ever going back: no text takes long.
    """
    if len(pieces) == 1:
        return value == pieces[0]
    first, last = pieces[0], pieces[-1]
    at, end = len(first), len(value) - len(last)
    if at > end or not value.startswith(first) or not value.endswith(last):
        return False
    for piece in pieces[1:-1]:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
