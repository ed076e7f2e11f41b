"""Notes of what functions wrote: in a directory beside the object lies the name of who put this version of it there.

So a function is not told of its own work, whichever process watches the folder and whenever it looks; and chains of
functions that feed each other through a folder are counted.
"""

from __future__ import annotations

import os
import time
from hashlib import blake2b

import msgspec

from .beneath import LIST, PASS, make_directory
from .names import OWN
from .version import READ, Version

NOTES = f"{OWN}-notes"
"""The directory of the notes, in that of the objects."""
PART = f"{OWN}-part-"
"""What the names of objects begin with that are being written."""
KEPT = 3600.0
"""Seconds for which a note is kept: longer than anything takes to look at what it is of."""
_LONGEST = 4096
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Note(msgspec.Struct, frozen=True):
    """Who put a version of an object there: the function, and how many had fed each other before it."""

    function: str
    depth: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


def write(directory: int, name: str, version: Version, note: Note) -> None:
    """Leave a note of a version that is about to become the file `name` in a directory. Raises `OSError`."""
    try:
        _put(directory, _name(name, version), _encode(note))
    except FileNotFoundError:
        # It was swept away just now, for nobody had used it for long.
        _put(directory, _name(name, version), _encode(note))
    if os.urandom(1) == b"\0":
        # Nobody scans where no trigger looks.
        _sweep_notes(directory, time.time() - KEPT)


def read(directory: int, name: str, version: Version) -> Note | None:
    """The note of this version of the file `name` in a directory, if there is one."""
    if not os.access(NOTES, os.F_OK, dir_fd=directory):  # As a rule, and so it shall cost little.
        return None
    try:
        notes = os.open(NOTES, PASS, dir_fd=directory)
    except OSError:
        return None
    try:
        descriptor = os.open(_name(name, version), READ, dir_fd=notes)
    except OSError:
        return None
    finally:
        os.close(notes)
    try:
        return _decode(os.read(descriptor, _LONGEST))
    except (OSError, msgspec.DecodeError):
        return None
    finally:
        os.close(descriptor)


def sweep(directory: int, entry: os.DirEntry[str]) -> None:
    """Remove old notes, and parts of what nobody finished writing, if that is what an entry of a directory is."""
    long_ago = time.time() - KEPT
    if entry.name == NOTES:
        _sweep_notes(directory, long_ago)
    elif entry.name.startswith(PART):
        _remove_older(entry, directory, long_ago)


def _put(directory: int, name: str, data: bytes) -> None:
    make_directory(NOTES, directory)
    notes = os.open(NOTES, PASS, dir_fd=directory)
    try:
        descriptor = os.open(name, _WRITE, 0o666, dir_fd=notes)
    finally:
        os.close(notes)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _sweep_notes(directory: int, long_ago: float) -> None:
    try:
        notes = os.open(NOTES, LIST, dir_fd=directory)
    except OSError:
        return
    try:
        with os.scandir(notes) as entries:
            for entry in entries:
                _remove_older(entry, notes, long_ago)
        # One that was made or used just now is about to be used.
        if os.fstat(notes).st_mtime < long_ago:
            os.rmdir(NOTES, dir_fd=directory)
    except OSError:
        pass  # Not empty, or not ours to remove.
    finally:
        os.close(notes)


def _remove_older(entry: os.DirEntry[str], directory: int, moment: float) -> None:
    try:
        if entry.stat(follow_symlinks=False).st_mtime < moment:
            os.unlink(entry.name, dir_fd=directory)
    except OSError:
        pass  # Not ours to remove, or gone.


def _name(name: str, version: Version) -> str:
    # Without the inode, which not all who look can rely on.
    text = f"{version.size:x}/{version.modified:x}/{name}"
    return blake2b(os.fsencode(text), digest_size=16).hexdigest()
