"""Which files of a folder are meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

Match = Callable[[str], re.Match[str] | None]

_PART = re.compile(r"\*+|\?|\[!?(?:\]|[^\]])[^\]]*\]|.", re.DOTALL)
_IN_SET = re.compile(r"([\\\[\]^&~|])")


class Selection:
    """The files that `pattern` takes and `ignore` does not.

    A pattern without `/` is for the file's name, at any depth; one with `/` for the whole key. `*` and `?` do not
    match `/`; `**` is any number of folders. What is ignored is the whole tree below, where it is a folder.
    """

    def __init__(self, pattern: str, ignore: Iterable[str]) -> None:
        self._in_names, self._in_keys = _compiled([pattern])
        self._ignored_names, self._ignored_keys = _compiled(tuple(ignore))

    def takes(self, prefix: str, name: str) -> bool:
        """Whether the file `name` is meant; `prefix` is the key of its folder with a `/`, or empty."""
        return bool(self._in_names(name) or self._in_keys(prefix + name)) and not self.ignores(prefix, name)

    def ignores(self, prefix: str, name: str) -> bool:
        """Whether a file or folder is ignored; the folders above it are not looked at."""
        return bool(self._ignored_names(name) or self._ignored_keys(prefix + name))

    def enters(self, prefix: str) -> bool:
        """Whether nothing on the way to a folder is ignored."""
        parts = prefix.split("/")[:-1]
        return not any(self.ignores("".join(f"{part}/" for part in parts[:i]), part) for i, part in enumerate(parts))


def _compiled(patterns: Sequence[str]) -> tuple[Match, Match]:
    """What matches the patterns for names, and those for keys."""
    keys = [pattern for pattern in patterns if "/" in pattern or pattern == "**"]
    names = [pattern for pattern in patterns if pattern not in keys]
    return _either(map(_component, names)), _either(map(_whole, keys))


def _either(expressions: Iterable[str]) -> Match:
    alternatives = "|".join(expressions)
    return re.compile(alternatives, re.DOTALL).fullmatch if alternatives else _nothing


def _nothing(text: str) -> None:
    return None


def _whole(pattern: str) -> str:
    *folders, last = pattern.split("/")
    start = "".join("(?:[^/]+/)*" if folder == "**" else f"{_component(folder)}/" for folder in folders)
    return start + (".+" if last == "**" else _component(last))


def _component(text: str) -> str:
    return "".join(_translated(part) for part in _PART.findall(text))


def _translated(part: str) -> str:
    if part[0] == "*":
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if part[0] == "[" and len(part) > 2:
        inside, negation = part[1:-1], ""
        if len(inside) > 1 and inside[0] == "!":
            inside, negation = inside[1:], "^"
        members = _IN_SET.sub(r"\\\1", inside)
        return f"(?!/)[{negation}{members}]"
    return re.escape(part)
