"""What fnframe's plugin manager finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import hookimpl
from fnframe.hookspecs import Command

if TYPE_CHECKING:
    import msgspec

    from fnframe.lifespan import Lifespan, RunningApp


@hookimpl
def fnframe_register_settings() -> dict[str, type[msgspec.Struct]]:
    from .settings import Settings

    return {"billing": Settings}


@hookimpl
def fnframe_lifespan(running: RunningApp) -> Lifespan:
    from .serving import lifespan

    return lifespan(running)


@hookimpl
def fnframe_commands() -> dict[str, Command]:
    return {
        "bill": Command("fnframe_billing.commands:bill", "What an app's functions cost, and who caused it."),
        "top": Command("fnframe_billing.commands:top", "What an app's functions do now: rates, times, memory, cost."),
        "advise": Command("fnframe_billing.commands:advise", "Which functions have more memory than they need."),
    }
