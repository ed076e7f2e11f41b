"""The folder as an object store, from inside a handler: objects are read and written by their keys."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from . import notes
from .beneath import LIST, PASS, open_directory
from .names import OWN, key_of, parts_of
from .version import READ, version_named, version_of

# What a key leads to that is no file: nothing, a link, a link or a file on the way, a socket.
_IS_NONE = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class ObjectMissing(FileNotFoundError):
    """There is no object of this key: it never was there, was removed, or is something else than a file."""


class ObjectChanged(Exception):
    """The object is not the version that was asked for any more: it was replaced, or written to."""


class Bucket(msgspec.Struct, frozen=True, omit_defaults=True):
    """A folder whose files are objects, each named by its key: the path below the folder, with `/`.

    `event.bucket` is the one that the event is of; `Bucket("thumbnails")` is any folder. No key leads out of the
    folder: `..` is refused, and symbolic links are not followed and are no objects. Where a key is none, `ValueError`
    is raised; what the system refuses is its `OSError`.
    """

    name: str
    """The folder, as the trigger names it."""
    folder: str = ""
    """Where it lies on this machine, an absolute path; without it, `name` is the path."""
    function: str = ""
    """Whose event this bucket came with: what it writes here, it is not told of."""
    depth: int = 0
    """How many functions had fed each other through buckets before."""

    def get(self, key: str, *, etag: str = "") -> bytes:
        """An object's content. With `etag`, exactly this version, whole.

        Raises `ObjectMissing`, and `ObjectChanged` where it is another version, or becomes one while it is read.
        """
        with self.open(key, etag=etag) as file:
            data = file.read()
            self._check(key, etag, os.fstat(file.fileno()))
            return data

    def open(self, key: str, *, etag: str = "") -> BinaryIO:
        """An object, opened for reading. With `etag`, this version; what is written into it later is read too.

        Raises `ObjectMissing` and `ObjectChanged`.
        """
        *folders, name = parts_of(key)
        try:
            with self._directory(folders) as directory:
                descriptor = os.open(name, READ, dir_fd=directory)
        except OSError as error:
            raise (self._missing(key) if error.errno in _IS_NONE else error) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise self._missing(key)
            self._check(key, etag, status)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Write an object, from bytes or from a file that is open for reading; it is there whole or not at all."""
        with self.create(key) as file:
            if isinstance(data, (bytes, bytearray, memoryview)):
                file.write(data)
            else:
                shutil.copyfileobj(data, file)

    @contextmanager
    def create(self, key: str) -> Iterator[BinaryIO]:
        """Write an object: `with bucket.create(key) as file:`. It appears, or replaces the one that was there, when
        the block is left, and not if it is left by an exception. It is on the disk then."""
        *folders, name = parts_of(key)
        Path(self._path).mkdir(parents=True, exist_ok=True)
        part = notes.PART + os.urandom(8).hex()
        with self._directory(folders, make=True) as directory:
            try:
                with os.fdopen(os.open(part, _CREATE, 0o666, dir_fd=directory), "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    version = version_of(os.fstat(file.fileno()))
                if self.function:
                    notes.write(directory, name, version, notes.Note(self.function, self.depth))
                os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(part, dir_fd=directory)
                raise

    def delete(self, key: str) -> None:
        """Remove an object; that there is none is no error."""
        *folders, name = parts_of(key)
        try:
            with self._directory(folders) as directory:
                os.unlink(name, dir_fd=directory)
        except (FileNotFoundError, NotADirectoryError):
            pass

    def list(self, prefix: str = "") -> Sequence[str]:
        """The keys that begin with `prefix`, sorted: of all files, also of those that a trigger ignores."""
        top = prefix.rpartition("/")[0]
        found: list[str] = []
        below = [parts_of(top) if top else []]
        while below:
            parts = below.pop()
            try:
                with self._directory(parts, LIST) as directory, os.scandir(directory) as entries:
                    _sort(entries, parts, prefix, below, found)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return sorted(found)

    @property
    def _path(self) -> str:
        return self.folder or self.name

    @contextmanager
    def _directory(self, parts: Sequence[str], flags: int = PASS, *, make: bool = False) -> Iterator[int]:
        # What a trigger watches was no link when it began: it may have been exchanged for one.
        descriptor = open_directory(self._path, parts, flags, make=make, follow=not self.folder)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _missing(self, key: str) -> ObjectMissing:
        return ObjectMissing(f"there is no object {key!r} in the bucket {self.name!r}")

    def _check(self, key: str, etag: str, status: os.stat_result) -> None:
        """That this is the version of the etag, if one is given."""
        if not etag:
            return
        named, now = version_named(etag), version_of(status)
        if named is None or not (now.is_same(named) or now.is_stamped(named)):
            raise ObjectChanged(
                f"the object {key!r} in the bucket {self.name!r} is not the version {etag} any more: it was "
                "replaced or written to meanwhile, and another event tells of that"
            )


def _sort(
    entries: Iterable[os.DirEntry[str]], parts: list[str], prefix: str, below: list[list[str]], found: list[str]
) -> None:
    """Put a directory's own directories to `below`, and the keys of its files to what was `found`."""
    for entry in entries:
        names = [*parts, entry.name]
        key = key_of("/".join(names))
        # Of a directory on the way to the prefix there is none here: the walk begins below it.
        if entry.name.startswith(OWN) or not key.startswith(prefix):
            continue
        if entry.is_dir(follow_symlinks=False):
            below.append(names)
        elif entry.is_file(follow_symlinks=False):
            found.append(key)
