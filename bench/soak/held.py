"""What a host and all that comes from it hold: memory, descriptors, threads, processes, folders."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

RSS_GROWTH_MB = 8.0
"""What resident memory may grow by in a whole run: fragments and caches."""
MARK = f"SOAK_MARK={os.getpid()}"


def mark_descendants() -> None:
    """Give all that this process starts from now on a variable by which `marked` finds it, whoever adopts it."""
    name, _, value = MARK.partition("=")
    os.environ[name] = value


def marked() -> list[int]:
    """The processes that come from this one and live, wherever they hang in the tree. A zombie holds nothing."""
    found = []
    for name in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            if MARK.encode() in Path(f"/proc/{int(name)}/environ").read_bytes().split(b"\0"):
                found.append(int(name))
    return found


def give_back() -> None:
    """Let the memory that this process freed go back to the system, so that what is still there is held."""
    gc.collect()
    with suppress(AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def held(root: Path) -> dict[str, float]:
    """What there is now; `root` is the folder in which apps make their temporary directories."""
    below = marked()
    return {
        "host MB": resident_mb(os.getpid()),
        "template MB": sum(map(resident_mb, below)),
        "descriptors": descriptors(os.getpid()),
        "template's": sum(map(descriptors, below)),
        "threads": len(os.listdir("/proc/self/task")),
        "processes": len(below),
        "folders": folders(root),
    }


def grown(first: dict[str, float], last: dict[str, float]) -> list[str]:
    """What there is more of than there was, and more than may be."""
    allowed = {"host MB": RSS_GROWTH_MB, "template MB": RSS_GROWTH_MB}
    return [
        f"{name} grew from {first[name]:.1f} to {last[name]:.1f}"
        for name in first
        if last[name] > first[name] + allowed.get(name, 0)
    ]


def folders(root: Path) -> int:
    """Temporary directories of environments."""
    return sum(1 for _ in root.glob("fnframe-*/slot-*"))


def resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def print_row(cells: list[str]) -> None:
    print("| " + " | ".join(cell.rjust(11) for cell in cells) + " |", flush=True)
