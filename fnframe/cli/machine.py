"""What this machine offers to execution environments, and what follows where it does not."""

from __future__ import annotations

import os
import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from ..environment.usage import Meter

DESCRIPTORS = 1024
INSTANCES = 8


class Finding(NamedTuple):
    """One thing that was looked at: `state` is `ok`, `note` (works in another way, or worse) or `bad`."""

    state: str
    what: str
    told: str


def versions() -> list[str]:
    """What runs here, and in which version."""
    names = ("fnframe", "anyio", "msgspec", "pluggy", "cyclopts", "uvloop", "trio", "httpx2")
    found = [f"{name} {_version(name) or 'is not installed'}" for name in names]
    system = f"{platform.system()} {platform.release()} ({platform.machine()}), {os.cpu_count()} processors"
    return [f"Python {platform.python_version()} ({platform.python_implementation()})", system, *found]


def findings() -> list[Finding]:
    """The features of the system that limits and figures rest on."""
    return [_isolation(), _memory(), _children(), _pidfd(), _descriptors(), _inotify(), _cgroups()]


def _isolation() -> Finding:
    if platform.system() == "Linux":
        return Finding("ok", "isolation", "a process for each environment, forked from a template")
    told = f"{platform.system()} is not what this release is tested on: environments are spawned, limits are not tested"
    return Finding("bad", "isolation", told)


def _memory() -> Finding:
    meter = Meter()
    method = meter.method
    meter.close()
    if method == "peak-rss-reset":
        return Finding(
            "ok", "memory", f"{method}: the exact peak of each invocation (/proc/self/clear_refs can be written)"
        )
    told = f"{method}: /proc/self/clear_refs cannot be written, so a figure is the peak since the environment's start"
    return Finding("note", "memory", told)


def _children() -> Finding:
    if Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return Finding("ok", "child processes", "what a handler starts is found, counted, and ended with it")
    told = "the kernel has no /proc/PID/task/TID/children: what a handler starts is not counted, nor ended with it"
    return Finding("bad", "child processes", told)


def _pidfd() -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        return Finding("note", "pidfd", f"not there ({error}); not needed: templates hold the ids of what they started")
    return Finding("ok", "pidfd", "there; not needed: templates hold the ids of what they started")


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f"{soft:,}, raised to {hard:,} at the start; each environment takes three"
    return Finding("ok" if hard > DESCRIPTORS else "note", "open files", told)


def _inotify() -> Finding:
    limits = {name: _number(f"/proc/sys/fs/inotify/max_user_{name}") for name in ("watches", "instances")}
    if None in limits.values():
        return Finding("note", "inotify", "not there: folders are looked at every second")
    told = f"{limits['watches']:,} folders may be watched by this user, with {limits['instances']:,} instances"
    return Finding("ok" if (limits["instances"] or 0) > INSTANCES else "note", "inotify", told)


def _cgroups() -> Finding:
    controllers = Path("/sys/fs/cgroup/cgroup.controllers")
    kind = "version 2" if controllers.exists() else "version 1" if Path("/sys/fs/cgroup").is_dir() else "not there"
    return Finding("ok", "cgroups", f"{kind}; not used: limits are held by measuring, on any kernel")


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
