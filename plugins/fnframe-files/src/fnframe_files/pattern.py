"""Which files of a folder are meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from .names import OWN

Match = Callable[[str], re.Match[str] | None]

_PART = re.compile(r"\*+|\?|\[!?(?:\]|[^\]])[^\]]*\]|.", re.DOTALL)
_IN_SET = re.compile(r"([\\\[\]^&~|])")


class Selection:
    """The files that `pattern` takes and `ignore` does not.

    A pattern without `/` is for the file's name, at any depth; one with `/` for the whole key. `*` and `?` do not
    match `/`; `**` is any number of folders. What is ignored is the whole tree below, where it is a folder. Raises
    `re.error` for what is no pattern.
    """

    def __init__(self, pattern: str, ignore: Iterable[str]) -> None:
        self._in_names, self._in_keys = _compiled([pattern])
        self._ignored_names, self._ignored_keys = _compiled(tuple(ignore))

    def takes(self, prefix: str, name: str) -> bool:
        """Whether the file `name` is meant; `prefix` is the key of its folder with a `/`, or empty."""
        return bool(self._in_names(name) or self._in_keys(prefix + name)) and not self.ignores(prefix, name)

    def ignores(self, prefix: str, name: str) -> bool:
        """Whether a file or folder is ignored; the folders above it are not looked at."""
        return bool(name.startswith(OWN) or self._ignored_names(name) or self._ignored_keys(prefix + name))


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
    first, *middle = _split(pattern.split("/"), "**")
    if not middle:
        return "/".join(map(_component, first))
    last = middle.pop()
    start = "".join(f"{_component(folder)}/" for folder in first)
    between = (f"(?>(?:[^/]+/)*?{'/'.join(map(_component, folders))}/)" for folders in middle if folders)
    end = f"(?:[^/]+/)*{'/'.join(map(_component, last))}" if last else ".+"
    return start + "".join(between) + end


def _component(text: str) -> str:
    first, *middle = _split(["*" if part[0] == "*" else part for part in _PART.findall(text)], "*")
    if not middle:
        return _fixed(first)
    last = middle.pop()
    # Where the first fit is found, a later one would do no better: not to try those keeps the time in proportion to
    # the length, whatever somebody names a file.
    between = (f"(?>[^/]*?{_fixed(parts)})" for parts in middle if parts)
    return f"{_fixed(first)}{''.join(between)}[^/]*{_fixed(last)}"


def _split(parts: list[str], separator: str) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for part in parts:
        if part == separator:
            groups.append([])
        else:
            groups[-1].append(part)
    return groups


def _fixed(parts: list[str]) -> str:
    return "".join(map(_translated, parts))


def _translated(part: str) -> str:
    if part == "?":
        return "[^/]"
    if part == "[":
        raise re.error("a '[' is not closed; '[[]' is that character itself, and a set has no '/'")
    if part[0] == "[" and len(part) > 2:
        inside, negation = part[1:-1], ""
        if len(inside) > 1 and inside[0] == "!":
            inside, negation = inside[1:], "^"
        members = _IN_SET.sub(r"\\\1", inside)
        return f"(?!/)[{negation}{members}]"
    return re.escape(part)
