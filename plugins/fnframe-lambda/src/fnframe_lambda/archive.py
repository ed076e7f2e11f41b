"""Zip archives of code: unpacked where they belong, and nowhere else."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

LARGEST_ZIPPED = 52_428_800
LARGEST_UNZIPPED = 262_144_000
"""Bytes: Lambda's limits."""
MOST_ENTRIES = 100_000
COPY = 256 * 1024


class BadArchive(Exception):
    """The archive is none, is too large, or has something in it that does not belong into code. `detail` is what Lambda
    does not tell."""

    def __init__(self, problem: str, detail: object = "") -> None:
        self.problem = problem
        super().__init__(f"{problem} ({detail})" if detail else problem)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: IO[bytes] | Path, folder: Path) -> int:
    """Unpack an archive into a new folder; how many bytes it has then.

    Everything lies in the folder afterwards, or nothing does and `BadArchive` is raised: for names that lead outside
    of it, links, devices, passwords, and more than Lambda's 250 MB, whatever sizes the archive itself tells.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o755)
    try:
        with zipfile.ZipFile(archive) as opened:
            size = _unpack(opened, partial)
        partial.rename(folder)
    except BadArchive:
        raise
    except OSError as error:
        raise BadArchive(f"it cannot be unpacked: {error}") from None
    except Exception as error:  # The standard library's reader raises whatever its decompressors do.
        text = "Could not unzip uploaded file. Please check your file, then try to upload again."
        raise BadArchive(text, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return size


def _unpack(archive: zipfile.ZipFile, folder: Path) -> int:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise BadArchive(f"it has {len(entries):,} entries, and {MOST_ENTRIES:,} is the most")
    _check_size(sum(entry.file_size for entry in entries))
    left = LARGEST_UNZIPPED
    for entry in entries:
        place = folder / _inside(entry)
        if entry.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source, open(place, "wb") as target:
            left -= _copy(source, target, left)
        mode = 0o755 if entry.external_attr >> 16 & 0o111 else 0o644
        os.chmod(place, mode)
    return LARGEST_UNZIPPED - left


def _inside(entry: zipfile.ZipInfo) -> PurePosixPath:
    """The place of an entry below the folder. Raises `BadArchive` for one that has none there."""
    # `filename` is cut at a null byte and has no backslashes on every system; what was written tells.
    name = entry.orig_filename.replace("\\", "/")
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise BadArchive(f"the entry {entry.orig_filename!r} leads outside of the archive")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"the entry {entry.orig_filename!r} is neither a file nor a directory")
    if entry.flag_bits & 1:
        raise BadArchive(f"the entry {entry.orig_filename!r} has a password")
    return path


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> int:
    size = 0
    while data := source.read(COPY):
        size += len(data)
        if size > most:
            _check_size(LARGEST_UNZIPPED + 1)
        target.write(data)
    return size


def _check_size(size: int) -> None:
    if size > LARGEST_UNZIPPED:
        raise BadArchive(f"Unzipped size must be smaller than {LARGEST_UNZIPPED} bytes")
