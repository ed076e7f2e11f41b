"""Where the file is: what a URL says, and which places are refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from fnframe.errors import ConfigurationError, nearest

FORM = "sqlite:///folder/name.db, from the app's folder, or sqlite:////folder/name.db"

NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "fuse.vmhgfs-fuse", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
})  # fmt: skip
"""Types of file systems that more than one machine may have mounted: locks and shared memory do not hold there."""


class Place(NamedTuple):
    """A database file, and the folder beside it: large bodies, locks, and pipes to wake those who wait."""

    file: Path
    synchronous: str

    @property
    def beside(self) -> Path:
        return self.file.with_name(f"{self.file.name}.d")


def place_of(url: str, directory: Path) -> Place:
    """What the URL says. Raises `ConfigurationError` that says what is wrong in it."""
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    is_path = path and parts.path.startswith("/") and not path.endswith("/") and "\0" not in path
    if not is_path or parts.netloc or parts.fragment:
        raise ConfigurationError(f"the engine's URL {url!r} names no file: write {FORM}")
    if path == ":memory:":
        raise ConfigurationError(f"the engine's URL {url!r} asks for no file: for an engine in memory write memory:")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name != "synchronous":
            hint = nearest(name, ["synchronous"]) or "; known is: synchronous"
            raise ConfigurationError(f"the engine's URL {url!r} has an unknown option {name!r}{hint}")
    synchronous = options.get("synchronous", "full").lower()
    if synchronous not in ("full", "normal"):
        problem = f"expected synchronous=full or synchronous=normal, found {synchronous!r}"
        raise ConfigurationError(f"the engine's URL {url!r}: {problem}")
    return Place(directory.absolute() / path, synchronous)


def prepare(place: Place) -> None:
    """Make the folders. Raises `ConfigurationError` where the file cannot be."""
    folder = place.file.parent
    where = str(place.file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kind = file_system_of(folder)
        if kind in NETWORK:
            problem = f"the engine's folder is on a network file system ({kind}), where locks do not hold"
            raise ConfigurationError(f"{problem}: put the file on a local disk", where=where)
        if place.file.is_dir():
            raise ConfigurationError("the engine's file is a folder: name a file", where=where)
        (place.beside / "bodies").mkdir(0o700, parents=True, exist_ok=True)
        place.beside.chmod(0o700)
    except OSError as error:
        problem = f"the engine's folder {folder} cannot be written ({error.strerror})"
        advice = 'give the process a folder that it may write, or name another engine (`engine = "memory:"`)'
        raise ConfigurationError(f"{problem}: {advice}", where=where) from None


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the file system that holds the folder; None where the system does not tell."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    path = str(folder.resolve())
    found: tuple[str, str | None] = ("", None)
    for line in lines:
        left, _, right = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), left.split(" ")[4])
        # The longest one is the one; of two on one point, the later covers the earlier.
        if len(point) >= len(found[0]) and (path == point or path.startswith(point.rstrip("/") + "/")):
            found = (point, right.split(" ")[0])
    return found[1]
