"""Keys and file names: a key is text that any encoding can carry, a file name is any bytes."""

from __future__ import annotations

import re

OWN = ".fnframe"
"""What the names of all that fnframe itself keeps in a folder begin with: none of it is an object."""

# What `key_of` writes for a byte that is not UTF-8, and the percent sign where a name happens to look like that.
_ESCAPED = re.compile("%(25|[89A-F][0-9A-F])")
_TO_ESCAPE = re.compile("%(?=25|[89A-F][0-9A-F])|[\udc80-\udcff]")


def key_of(name: str) -> str:
    """The key of a file name, as Python reads names from the system (PEP 383); reversed by `name_of`.

    Bytes that are not UTF-8 become `%80` to `%FF`. Other names stay as they are, but for a percent sign before
    what would read as such an escape, which becomes `%25`.
    """
    if name.isascii() and "%" not in name:
        return name
    return _TO_ESCAPE.sub(lambda match: f"%{ord(match[0]) & 0xFF:02X}", name)


def name_of(key: str) -> str:
    """The file name of a key."""
    return _ESCAPED.sub(_unescape, key) if "%" in key else key


def parts_of(key: str) -> list[str]:
    """The names on the way to a key's file, the file's own last.

    Raises `ValueError` for what is no key: it would lead to a folder, or outside, or to what is fnframe's own.
    """
    parts = name_of(key).split("/")
    if "\0" in key or any(part in ("", ".", "..") or part.startswith(OWN) for part in parts):
        raise ValueError(f"{key!r} is no key of an object: a key is a path below the folder, such as 'raw/cat.jpg'")
    return parts


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return "%" if code == 0x25 else chr(0xDC00 + code)
