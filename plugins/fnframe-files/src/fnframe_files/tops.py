"""The topmost of some directories, to find what lies below any of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Tops:
    """Of prefixes that end with `/`, those that lie below no other."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._tops: list[str] = []
        for prefix in sorted(prefixes):
            if not self.cover(prefix):
                self._tops.append(prefix)

    def cover(self, path: str) -> bool:
        """Whether a path lies below one of them, or is one."""
        # Whatever is sorted between a top and what lies below it lies below it too, and so is no top.
        at = bisect_right(self._tops, path)
        return at > 0 and path.startswith(self._tops[at - 1])
