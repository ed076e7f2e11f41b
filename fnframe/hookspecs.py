"""The hooks, in the order in which they are called. Hooks register types, add to the app, admit or observe; classes
behave.

Observers are called in the event loop's thread, and where the app runs by `run_in_thread`, in the threads of its
callers too: one that keeps state guards it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pluggy

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import msgspec

    from .engine.protocol import EngineFactory
    from .event import Event
    from .function import Function
    from .lifespan import Lifespan, RunningApp
    from .outcome import InvocationType, Outcome, Report
    from .provider import EnvironmentProvider
    from .trigger import Trigger

hookspec = pluggy.HookspecMarker("fnframe")
hookimpl = pluggy.HookimplMarker("fnframe")


class Command(NamedTuple):
    """A command of the command line: where its function or its `cyclopts.App` is, as `module:attribute`, and a line
    about it.

    The module is imported when the command is used; `fnframe.commands` has what it may need.
    """

    app: str
    text: str


class Refusal(NamedTuple):
    """Why an invocation may not begin, for whoever asked for it.

    With `retry_after`, in seconds, it was throttled: it may begin then, and an asynchronous event waits for that.
    Without, it failed for good.
    """

    reason: str
    retry_after: float | None = None


@hookspec
def fnframe_commands() -> dict[str, Command]:  # type: ignore[empty-body]
    """Called by the command line alone, where it lists the commands and where it is given one that is not its own:
    commands by their names, `{"cron": Command("fnframe_cron.commands:app", "When schedules fire.")}`.

    A name of fnframe's own, or one that two plugins bring, is refused. What it raises is told as a warning.
    """


@hookspec
def fnframe_register_triggers() -> list[type[Trigger]]:  # type: ignore[empty-body]
    """Called once at start: the types of triggers that the plugin brings.

    Two types of one kind are refused, and so is what is no `Trigger`. If it raises, the app does not start.
    """


@hookspec
def fnframe_register_engines() -> dict[str, EngineFactory]:  # type: ignore[empty-body]
    """Called once at start: what makes an engine of a URL, by the URL's scheme: `{"sqlite": sqlite_engine}`.

    It is called with a URL that the settings name and the app's `EngineOptions` (see `fnframe.engine.protocol`), raises
    `ConfigurationError` where the URL is wrong, and opens nothing: the engine is entered for that. A scheme that two
    plugins bring is refused, and `memory` is fnframe's own. If it raises, the app does not start.
    """


@hookspec
def fnframe_register_settings() -> dict[str, type[msgspec.Struct]]:  # type: ignore[empty-body]
    """Called once at start: tables of settings that the plugin has beside those of its triggers, as
    `{"billing": Settings}` for `[billing]` in fnframe.toml. `running.settings_of("billing")` has what is set, decoded
    strictly.

    Each field needs a default. A name that is taken is refused. If it raises, the app does not start.
    """


@hookspec
def fnframe_environment_provider() -> dict[str, EnvironmentProvider]:  # type: ignore[empty-body]
    """Called once at start: other ways to run functions than to call a Python handler of the app, each by the word that
    a function's `environment` and the table of settings know it by. See `fnframe.provider`.

    A kind that two plugins bring, or that is one of triggers, is refused. If it raises, the app does not start.
    """


@hookspec
def fnframe_lifespan(running: RunningApp) -> Lifespan:  # type: ignore[empty-body]
    """Called once for each run of an app, before its triggers start: an async context manager around all of it.

    It is entered then, and left when the triggers have ended and what was accepted is worked off. A mapping that it
    yields is added to the running app: after `yield {"cron": schedules}` there is `running.cron`. Commands that only
    look at an app run it too, without its triggers: `running.serves` tells. What it raises ends the app.
    """


@hookspec
def fnframe_event_filtered(function: Function, event: Event, trigger: str) -> None:
    """Called once for each event that its trigger's filter did not let through, and that is therefore not run.

    `trigger` is the trigger's kind. What it raises is logged and dropped.
    """


@hookspec
def fnframe_admit(
    function: Function, event: Event, invocation_type: InvocationType, attempt: int, tenant: str | None
) -> Refusal | None:
    """Called once for each invocation that has its place among those in progress, before it gets an environment.

    The first plugin that returns a `Refusal` decides. It must return at once: everybody waits meanwhile. What it raises
    is logged and dropped, and the invocation is let in.
    """


@hookspec
def fnframe_invocation_started(
    request_id: str, function: Function, event: Event, invocation_type: InvocationType, attempt: int
) -> None:
    """Called once for each invocation when an environment is about to get the event.

    Not called for what was rejected. What it raises is logged and dropped.
    """


@hookspec
def fnframe_invocation_output(request_id: str, function: Function, data: bytes) -> None:
    """Called with what the handler and its children wrote to standard output and error, as it arrives.

    All of an invocation's output is heard before its report; lines may come in pieces. `request_id` is empty for
    what an environment wrote between invocations. What it raises is logged and dropped.
    """


@hookspec
def fnframe_invocation_reported(report: Report, outcome: Outcome) -> None:
    """Called once for each invocation, last, also for what was rejected or cancelled.

    What it raises is logged and dropped.
    """


@hookspec
def fnframe_before_reply(report: Report) -> Awaitable[None] | None:
    """Called once for each synchronous invocation that ran, after it was reported: what it returns is awaited before
    the caller has the outcome.

    What it raises is logged and dropped.
    """


@hookspec
def fnframe_event_settled(
    function: Function, event: Event, outcome: Outcome, attempts: int, destination: str | None
) -> None:
    """Called once for each asynchronous event that reached its end: success, or retries or age spent.

    Of what queues and streams feed, for each batch, or part of one, that is done, and for each message and each range
    of records that is given up on. `destination` is where a record of it was put, of a URL the host alone; without
    one, what came of a queue lies among its dead letters. What it raises is logged and dropped.
    """
