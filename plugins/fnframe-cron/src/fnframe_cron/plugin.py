"""What fnframe's plugin manager finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import hookimpl
from fnframe.hookspecs import Command

from .trigger import Cron

if TYPE_CHECKING:
    from fnframe import Trigger
    from fnframe.lifespan import Lifespan, RunningApp


@hookimpl
def fnframe_register_triggers() -> list[type[Trigger]]:
    return [Cron]


@hookimpl
def fnframe_lifespan(running: RunningApp) -> Lifespan:
    from .schedules import lifespan

    return lifespan(running)


@hookimpl
def fnframe_commands() -> dict[str, Command]:
    return {"cron": Command("fnframe_cron.commands:app", "Tell when a schedule fires, and where clocks are set.")}
