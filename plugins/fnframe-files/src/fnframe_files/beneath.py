"""Directories below a folder, opened so that nobody can lead us elsewhere: no `..`, no symbolic link on the way."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Sequence

_WAY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PASS = _WAY | getattr(os, "O_PATH", os.O_RDONLY)
"""To open a directory as a place to look from; may be done where it may not be listed."""
LIST = _WAY | os.O_RDONLY
AWAY = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""Error numbers that say that there is no such directory: nothing, or something else, a link maybe."""

_OPENAT2 = 437
_HOW = struct.Struct("QQQ")  # flags, mode, resolve
_RESOLVE = 0x04 | 0x08  # no symbolic links, beneath: linux/openat2.h
_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]


def open_directory(
    folder: str, parts: Sequence[str], flags: int = PASS, *, make: bool = False, follow: bool = False
) -> int:
    """The descriptor of the directory that lies below `folder` by these names; `folder` itself may be a link where it
    is to `follow` it.

    What others rename meanwhile, or replace by a link, leads nowhere. With `make`, directories that are missing are
    made. Raises `OSError`; where a link is in the way, `ELOOP` or `NotADirectoryError`.
    """
    itself = ~os.O_NOFOLLOW if follow else ~0
    if not parts:
        return os.open(folder, flags & itself)
    top = os.open(folder, PASS & itself)
    try:
        return _walk(top, parts, flags, make=True) if make else _open(top, parts, flags)
    finally:
        os.close(top)


def open_path(folder: str, path: str, flags: int = PASS) -> int:
    """The same for the path of a directory, `folder` or one below it."""
    return open_directory(folder, path[len(folder) + 1 :].split("/") if path != folder else (), flags)


def make_directory(name: str, descriptor: int) -> None:
    """Make it unless something of that name is there."""
    try:
        os.mkdir(name, dir_fd=descriptor)
    except FileExistsError:
        pass


def _open(top: int, parts: Sequence[str], flags: int) -> int:
    if sys.platform == "linux":
        how = _HOW.pack(flags, 0, _RESOLVE)
        descriptor = int(_syscall(_OPENAT2, top, os.fsencode("/".join(parts)), how, len(how)))
        if descriptor >= 0:
            return descriptor
        code = ctypes.get_errno()
        # Linux before 5.6 does not know it, and some containers forbid what they do not know.
        if code not in (errno.ENOSYS, errno.EPERM):
            raise OSError(code, os.strerror(code), "/".join(parts))
    return _walk(top, parts, flags)


def _walk(top: int, parts: Sequence[str], flags: int, *, make: bool = False) -> int:
    """The same in single steps, each from the directory of the one before."""
    descriptor = os.dup(top)
    for number, part in enumerate(parts, 1):
        above = descriptor
        try:
            if make:
                make_directory(part, above)
            descriptor = os.open(part, flags if number == len(parts) else PASS, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


class Descent:
    """Keeps the directory that was opened last: files of one directory come together."""

    def __init__(self) -> None:
        self._path = ""
        self._descriptor = -1

    def to(self, folder: str, path: str) -> int:
        """The descriptor, which stays ours, of the directory at `path`, `folder` or one below. Raises `OSError`."""
        if path != self._path:
            self.close()
            self._descriptor = open_path(folder, path)
            self._path = path
        return self._descriptor

    def close(self) -> None:
        if self._path:
            os.close(self._descriptor)
            self._path = ""
