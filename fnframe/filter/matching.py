"""Whether a document fits a rule: for each of its keys, the document has a value there that fits.

The document is decoded JSON. A key is a path such as `data.items.price`. A step of it may be a key of the document, and
so may several steps together, dots included. An array on the way stands for its elements; where several keys of a rule
lead through one array of objects, they must be met by the same element.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .operators import Alternatives, Test

Path = tuple[str, ...]

Choice = tuple[tuple[int, int, Path], ...]
"""The elements that the keys so far were met in: of which array (its identity), which, and the array's path."""

Node = tuple[Any, int, Choice, Choice]
"""A place in a document: what is there, how much of the path led to it, the choice so far, and what of the choice lies
ahead: arrays that were not met yet on the way here."""


class Rule:
    """Keys with their alternatives, all of which a document must meet.

    They are looked at in the order of their names, as EventBridge does. The order matters to `{"exists": false}` alone,
    which looks only into the elements that the keys before it were met in.
    """

    def __init__(self, keys: Mapping[str, Alternatives]) -> None:
        names = sorted(keys)
        paths = [tuple(name.split(".")) for name in names]
        self._keys = [
            _Key(
                paths[number],
                keys[name],
                later=frozenset(path[:end] for path in paths[number + 1 :] for end in range(1, len(path) + 1)),
                settled=not any(keys[other].absent for other in names[number + 1 :]),
            )
            for number, name in enumerate(names)
        ]

    def __call__(self, document: Any) -> bool:
        for number, key in enumerate(self._keys):
            value = key.only_value(document)
            if value is _SEVERAL:
                return self._meets(document, number, (), set())
            if not (key.absent if value is _NONE else key.test(value)):
                return False
        return True

    def _meets(self, document: Any, number: int, chosen: Choice, failed: set[tuple[int, Choice]]) -> bool:
        """Whether the keys from this one on are met. `failed` is what was tried, so that nothing is tried twice."""
        while number < len(self._keys):
            ways = self._keys[number].ways(document, chosen)
            number += 1
            if len(ways) != 1:
                return self._meets_one(document, number, ways, failed)
            (chosen,) = ways
        return True

    def _meets_one(
        self, document: Any, number: int, ways: Mapping[Choice, None], failed: set[tuple[int, Choice]]
    ) -> bool:
        for way in ways:
            if (number, way) not in failed:
                if self._meets(document, number, way, failed):
                    return True
                failed.add((number, way))
        return False


class _Key:
    """One key of a rule.

    `later` are the paths of arrays through which keys behind it lead too. `settled` says that the fewer elements it was
    met in, the better: no key behind it asks whether something is absent.
    """

    __slots__ = ("_later", "_path", "_settled", "_steps", "_straight", "absent", "test")

    def __init__(self, path: Path, alternatives: Alternatives, *, later: frozenset[Path], settled: bool) -> None:
        self._path = path
        self.test, self.absent = alternatives
        self._later = later
        self._settled = settled
        self._steps, self._straight = _steps_of(path)

    def only_value(self, document: Any) -> Any:
        """The one value that the document has here, or `_NONE`; `_SEVERAL` where it takes `ways` to tell."""
        node = document
        for name, joined in self._straight:
            if type(node) is not dict:
                return _SEVERAL if type(node) is list else _NONE
            for other in joined:
                if other in node:
                    return _SEVERAL
            node = node.get(name, _NONE)
        if type(node) is dict:
            return _NONE
        return _SEVERAL if type(node) is list else node

    def ways(self, document: Any, chosen: Choice) -> dict[Choice, None]:
        """The distinct choices with which the key is met, as far as they matter to the keys behind it."""
        ways = self._find(document, chosen, self.test)
        if self.absent and not self._find(document, chosen, _anything):
            ways[self._trimmed(chosen)] = None
        return ways

    def _find(self, document: Any, before: Choice, test: Test) -> dict[Choice, None]:
        """The choices with which the document has a value here that the test takes."""
        found: dict[Choice, None] = {}
        size = len(self._path)
        unbound = self._trimmed(before)
        # No recursion: documents come from outside.
        nodes: list[Node] = [(document, 0, before, before)]
        while nodes:
            node, at, chosen, ahead = nodes.pop()
            if type(node) is dict:
                places = [(node[key], end, chosen, ahead) for key, end in self._steps[at] if key in node]
            else:
                places = self._elements(node, at, chosen, ahead)
            for place in places:
                child = place[0]
                if type(child) in _CONTAINERS:
                    nodes.append(place)
                elif place[1] == size and test(child):
                    way = self._trimmed(place[2])
                    found[way] = None
                    if not self._later or (self._settled and way == unbound):
                        return {way: None}
        return found

    def _elements(self, array: list[Any], at: int, chosen: Choice, ahead: Choice) -> list[Node]:
        """An array's elements; if the keys before this lead through the array, the one that they were met in.

        If they lead through another array on this path, where a document spells a key in two ways, none: otherwise each
        element here would have to be tried with each element there.
        """
        identity, path = id(array), self._path[:at]
        for entry in ahead:
            known, number, place = entry
            if known == identity:
                return [(array[number], at, chosen, tuple(other for other in ahead if other is not entry))]
            if place == self._path[: len(place)]:
                return []
        return [
            (element, at, (*chosen, (identity, number, path)) if type(element) in _CONTAINERS else chosen, ahead)
            for number, element in enumerate(array)
        ]

    def _trimmed(self, chosen: Choice) -> Choice:
        return tuple(entry for entry in chosen if entry[2] in self._later) if chosen else chosen


@lru_cache(maxsize=512)
def _steps_of(path: Path) -> tuple[list[list[tuple[str, int]]], list[tuple[str, list[str]]]]:
    """For each place on a path the keys that may lead on, with where they lead; and the single step apart."""
    size = len(path)
    steps = [[(".".join(path[at:end]), end) for end in range(at + 1, size + 1)] for at in range(size + 1)]
    return steps, [(first[0], [name for name, _ in joined]) for first, *joined in steps[:-1]]


_CONTAINERS = (dict, list)

_NONE, _SEVERAL = object(), object()


def _anything(_: Any) -> bool:
    return True
