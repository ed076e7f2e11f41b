"""What fnframe's plugin manager finds, by the entry point in pyproject.toml."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from fnframe import hookimpl

from .slow import Slow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fnframe.lifespan import Lifespan, RunningApp, Services


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[sample]` in fnframe.toml: invocations that take more than `milliseconds` are written to `file`."""

    milliseconds: float = 1000.0
    file: str = "slow.jsonl"


@hookimpl
def fnframe_register_settings() -> dict[str, type[msgspec.Struct]]:
    return {"sample": Settings}


@hookimpl
def fnframe_lifespan(running: RunningApp) -> Lifespan:
    return lifespan(running)


@asynccontextmanager
async def lifespan(running: RunningApp) -> AsyncIterator[Services]:
    """For one run of an app: what is made here may keep state, and `running.sample` offers it to programs."""
    settings: Settings = running.settings_of("sample")
    with open(settings.file, "a") as file:
        slow = Slow(settings.milliseconds, file)
        running.register(slow)
        yield {"sample": slow}
