"""Which file system a folder lies on, and whether others than this machine's programs change it."""

from __future__ import annotations

import re
from typing import NamedTuple

MOUNTS = "/proc/self/mountinfo"

_REMOTE = {
    *(
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fakeowner",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
    ),
    *("nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"),
}
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    point: str
    type: str

    @property
    def is_remote(self) -> bool:
        # A program in user space may show anything under `fuse`; `fuseblk` is a disk of this machine.
        return self.type in _REMOTE or self.type.split(".")[0] == "fuse"


def mount_of(folder: str) -> Mount | None:
    """The mount that a folder, an absolute path, lies on; None where the system does not say."""
    return _mounts(folder)[0]


def is_on(folder: str, mount: Mount | None) -> bool:
    """Whether a folder still lies on a mount that it lay on before, or on one that came upon it since."""
    now = mount_of(folder)
    return mount is None or now is None or len(now.point) >= len(mount.point)


def remote_mount(folder: str) -> Mount | None:
    """The mount that makes a folder remote, the one that it lies on or one below it, if there is one."""
    under, below = _mounts(folder)
    return next((mount for mount in (under, *below) if mount is not None and mount.is_remote), None)


def _mounts(folder: str) -> tuple[Mount | None, list[Mount]]:
    """The one that a folder lies on, and those that lie below it."""
    try:
        with open(MOUNTS, errors="surrogateescape") as lines:
            mounts = [_mount(line) for line in lines]
    except OSError:
        return None, []
    # Of two on one point, the later hides the earlier.
    by_point = {mount.point.rstrip("/"): mount for mount in mounts}
    under = max((point for point in by_point if _is_in(folder, point)), key=len, default=None)
    below = [mount for point, mount in by_point.items() if point != folder and _is_in(point, folder)]
    return (by_point[under] if under is not None else None), below


def _mount(line: str) -> Mount:
    """proc(5): ID, parent, device, root, mount point, options, any number of optional fields, `-`, type, source."""
    place, _, kind = line.partition(" - ")
    point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), place.split(" ")[4])
    return Mount(point, kind.split(" ")[0])


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
