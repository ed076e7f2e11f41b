"""A directory below one or more buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .names import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .agenda import Views
    from .ledger import Ledger


class Directory(NamedTuple):
    """A directory, and for each ledger that wants its files, what their keys begin with."""

    path: str
    prefixes: tuple[tuple[Ledger, str], ...]

    @property
    def is_bucket(self) -> bool:
        """Whether it is a bucket's own folder."""
        return any(prefix == "" for _, prefix in self.prefixes)

    def views(self, name: str) -> Views:
        """The ledgers that want the file of this name, each with its key."""
        key = key_of(name)
        return [(ledger, prefix + key) for ledger, prefix in self.prefixes if ledger.takes(prefix, key)]


def directory_at(path: str, ledgers: Iterable[Ledger]) -> Directory:
    prefixes = ((ledger, ledger.prefix_of(path)) for ledger in ledgers)
    return Directory(path, tuple((ledger, prefix) for ledger, prefix in prefixes if prefix is not None))
