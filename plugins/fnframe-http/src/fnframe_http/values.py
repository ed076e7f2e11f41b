"""Named values that may come several times: those of a query, and headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class Values(Mapping[str, str]):
    """A mapping of names to their first values, in the order of arrival; `all` has the rest."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(self._key(name), []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[self._key(name)][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pairs()!r})"

    def all(self, name: str) -> list[str]:
        """Every value of this name, in the order of arrival; empty without one."""
        return list(self._values.get(self._key(name), ()))

    def pairs(self) -> list[tuple[str, str]]:
        """Every name with each of its values."""
        return [(name, value) for name, values in self._values.items() for value in values]

    def _key(self, name: str) -> str:
        return name


class Headers(Values):
    """Header fields. Names are case-insensitive; a field that came several times reads as one, joined with commas
    (RFC 9110, section 5.3)."""

    __slots__ = ()

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[self._key(name)])

    def _key(self, name: str) -> str:
        return name.lower()
