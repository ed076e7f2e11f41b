"""`fnframe run`: the production form, and `--until-idle` for batches, CI and first contact."""

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .options import Assignments, Flag, Host, Port, Target, settings_of
from .signals import Stop, run_async

if TYPE_CHECKING:
    from ..runtime.logs import LogFormat
    from ..runtime.running import Running


def run(
    target: Target,
    /,
    *,
    until_idle: Annotated[
        Flag, Parameter(help="Handle all that is there, retries included, tell what happened, and end.")
    ] = False,
    host: Host = None,
    port: Port = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        Parameter(help="The form of the log on standard output; json by default."),
    ] = None,
    set_: Assignments = (),
) -> int:
    """Run an app; with --until-idle handle all that is there, then end.

    SIGTERM or Ctrl-C ends it in order: what runs may finish, within the
    setting `grace`. A second signal ends it at once.

    With --until-idle the exit status is 0 if every event reached success or
    its destination, else 1. What was handled is remembered in .fnframe beside
    the app, so that a second run handles only what is new; two at the same
    time are refused.
    """
    settings = settings_of(set_, {"http.host": host, "http.port": port, "log_format": log_format})
    if until_idle:
        from .until_idle import run_until_idle

        return run_async(partial(run_until_idle, target, settings))
    return run_async(partial(_serve, target, settings, _log_format(target, settings)))


def _log_format(target: str, settings: dict[str, object]) -> "LogFormat":
    from ..environment.target import directory_of
    from ..runtime.config import log_format

    chosen = settings.get("log_format") or log_format(directory_of(target))
    return "text" if chosen == "text" else "json"


async def _serve(target: str, settings: dict[str, object], form: "LogFormat", stop: Stop) -> int:
    from ..runtime.logs import LogLines
    from ..runtime.run import run_target
    from .standard_output import OutputLost

    lines = LogLines(sys.stdout, form)
    async with run_target(target, settings=settings, plugins=(lines,), durable=True) as running:
        # What the start made stays: to look at all of it again would hold everybody up for 20 ms, every few seconds.
        gc.collect()
        gc.freeze()
        _tell(running)
        await stop.wait()
        _say(f"ending: what runs has {running.settings.grace:g} s to finish; a second signal ends it at once")
    _say("ended")
    if isinstance(lines.lost, OSError):
        raise OutputLost(lines.lost)
    return 0


def _tell(running: "Running") -> None:
    from .survival import nothing_survives

    _say(f"running {running.manifest.app}")
    for function, text in running.started:
        _say(f"{function}: {text}")
    if not running.started:
        _say("no function has a trigger: nothing will come in")
    for line in nothing_survives(running):
        _say(line)


def _say(text: str) -> None:
    # Not into the log: that is standard output's.
    print(f"fnframe: {text}", file=sys.stderr, flush=True)
