"""How many descriptors the host may open: each environment takes three of them, and none of the host's for itself."""

from __future__ import annotations

import resource

_before: tuple[int, int] | None = None
"""The limit before it was raised: that with which the program was started."""


def raise_limit() -> None:
    """Let this process open as many descriptors as it may."""
    global _before
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _before = _before or (soft, hard)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def restore_limit(pid: int) -> None:
    """Give a child that has just been started the limit that this process had: programs close, and select waits for,
    as many descriptors as there may be."""
    if _before is not None and hasattr(resource, "prlimit"):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, _before)
