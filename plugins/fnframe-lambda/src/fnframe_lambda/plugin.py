"""What fnframe's plugin manager finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import hookimpl
from fnframe.hookspecs import Command

from .invoke import tail

if TYPE_CHECKING:
    from fnframe.lifespan import Lifespan, RunningApp
    from fnframe.provider import EnvironmentProvider


@hookimpl
def fnframe_environment_provider() -> dict[str, EnvironmentProvider]:
    from .provider import LambdaEnvironments

    return {"lambda": LambdaEnvironments()}


@hookimpl
def fnframe_lifespan(running: RunningApp) -> Lifespan:
    from .service import lifespan

    return lifespan(running)


@hookimpl
def fnframe_invocation_output(request_id: str, data: bytes) -> None:
    tail.hear(request_id, data)


@hookimpl
def fnframe_commands() -> dict[str, Command]:
    return {"lambda": Command("fnframe_lambda.commands:app", "Serve functions to Lambda's own clients.")}
