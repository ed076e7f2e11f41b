"""Waiting for facts, and asking for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail after ten seconds."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.002)


def state_of(pid: int) -> str:
    """The letter of a process's state; `Z`, a zombie, also where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    return state_of(pid) != "Z"
