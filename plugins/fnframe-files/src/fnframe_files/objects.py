"""What a handler gets: the object that was created, or the one that was removed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import BinaryIO

import msgspec

from .bucket import Bucket
from .names import name_of


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class _Object(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event"):
    bucket: Bucket
    """The folder, to read and write its objects."""
    key: str
    """The path below the folder, with `/`. Bytes of a name that are not UTF-8 read `%80` to `%FF`."""
    size: int = 0
    """Bytes."""
    etag: str = ""
    """Names this version of the object: made of inode, size and time of modification, not of the content."""
    sequencer: str = ""
    """Orders the events of one key: of two, the later one has the greater text."""
    time: dt.datetime = msgspec.field(default_factory=_now)
    """When the object became what it is; when a removal was noticed."""

    @property
    def path(self) -> Path:
        """Where the object lies, absolute and without symbolic links, for programs that want a path.

        The file may have been replaced or removed meanwhile. Raises `ValueError` when the key leads outside of the
        folder, by `..` or through a symbolic link.
        """
        folder = Path(self.bucket.folder or self.bucket.name).resolve()
        path = (folder / name_of(self.key)).resolve()
        if folder not in path.parents:
            raise ValueError(f"the key {self.key!r} leads outside of the folder {folder}")
        return path


class ObjectCreated(_Object, frozen=True, kw_only=True):
    """An object is complete: a new file, or a new version of one that was replaced or changed."""

    def read(self) -> bytes:
        """The content of exactly the version that this event tells of.

        Raises `ObjectMissing` where the object is gone, `ObjectChanged` where it is another version by now.
        """
        return self.bucket.get(self.key, etag=self.etag)

    def open(self) -> BinaryIO:
        """The object opened for reading, if it is the version that this event tells of; see `Bucket.open`.

        Raises as `read` does.
        """
        return self.bucket.open(self.key, etag=self.etag)


class ObjectRemoved(_Object, frozen=True, kw_only=True):
    """An object is gone: deleted, or moved away. `size` and `etag` are those of its last delivered version."""
