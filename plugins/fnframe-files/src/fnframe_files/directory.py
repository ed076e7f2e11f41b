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

    @property
    def root(self) -> str:
        """The folder of a bucket that it is in."""
        return self.prefixes[0][0].root

    def views(self, name: str) -> Views:
        """The ledgers that want the file of this name, each with its key."""
        key = key_of(name)
        return [(ledger, prefix + key) for ledger, prefix in self.prefixes if ledger.takes(prefix, key)]

    def below(self, name: str, ledgers: Iterable[Ledger]) -> Directory:
        """The directory of this name in it."""
        path, key = f"{self.path}/{name}", key_of(name)
        inner = tuple((ledger, f"{prefix}{key}/") for ledger, prefix in self.prefixes if ledger.enters(prefix, key))
        # It may be the folder of another bucket.
        return Directory(path, inner + tuple((ledger, "") for ledger in ledgers if ledger.root == path))


def bucket_at(root: str, ledgers: Iterable[Ledger]) -> Directory:
    """The folder of a bucket, which may lie in those of others."""
    prefixes: list[tuple[Ledger, str]] = []
    for ledger in ledgers:
        if root == ledger.root or root.startswith(f"{ledger.root}/"):
            directory = Directory(ledger.root, ((ledger, ""),))
            for name in root[len(ledger.root) + 1 :].split("/") if root != ledger.root else ():
                directory = directory.below(name, ())
            prefixes += directory.prefixes
    return Directory(root, tuple(prefixes))
