"""What a plugin sees of an app that runs, and what it may add to it: `fnframe_lifespan` in `fnframe.hookspecs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from . import trigger
    from .clock import Clock
    from .engine.protocol import QueueStatistics, Stream
    from .function import Function, Manifest

Services = Mapping[str, object]
"""What a plugin offers to those who hold a running app: `{"cron": schedules}` is `running.cron`."""

Lifespan = AbstractAsyncContextManager[Services | None]

Serves = Literal["all", "backlog", "calls", "none"]
"""What an app runs for: `"all"` its triggers; `"backlog"`, of these, those whose events can wait outside; `"calls"`,
nothing but what its caller invokes (`fnframe invoke`); `"none"`, for who only looks at it (`fnframe functions`)."""


class RunningApp(Protocol):
    """A running app, as a plugin's lifespan gets it."""

    @property
    def manifest(self) -> Manifest:
        """The app's functions and triggers, as they are served now: a reload changes it."""

    @property
    def clock(self) -> Clock:
        """The app's time."""

    @property
    def serves(self) -> Serves:
        """What the app runs for. Where it is `"none"` nothing is invoked, and what a plugin leaves beside the app would
        be a surprise."""

    @property
    def shared(self) -> bool:
        """Whether other processes may share the engine."""

    @property
    def durable(self) -> bool:
        """Whether all that is accepted outlives this process; where the app has several engines, in each of them."""

    @property
    def reports(self) -> Mapping[str, Stream]:
        """The reports of asynchronous and polled invocations, each kept in the step that settled what it was for: see
        `fnframe.engine.protocol.REPORTS`. A stream for each engine that outlives the process, by a name that the next
        run has for it too."""

    async def queue_statistics(self) -> Mapping[str, QueueStatistics]:
        """What each queue holds that holds something, in all engines of the app: `"orders"`, `"function:mail"` for what
        waits for a function's asynchronous invocations, and fnframe's own, `"fnframe:outbox"`."""

    def settings_of(self, name: str) -> Any:
        """The table of settings of this name: of a kind of trigger or environment, or of a plugin's own."""

    def register(self, plugin: object) -> None:
        """Use an object with hooks as a plugin of this run, from the moment that the lifespan yields: for hooks that
        need what it made."""

    def state(self, name: str) -> trigger.State:
        """Where the plugin keeps what it must remember, under a name of its own; as durable as the app's engine."""

    @property
    def scratch(self) -> Path:
        """A folder for what is of use only while the app runs; removed with all in it, also after a kill."""

    async def serve_beside(self, owner: str, functions: Sequence[Function]) -> None:
        """Serve these functions, which environment providers run, beside those of the app: in place of all that were
        given before under this name, and through reloads. What did not change is not disturbed.

        Raises `ConfigurationError` where one of them cannot be served, or has a name that is taken: nothing changes
        then.
        """

    def ready_environments(self, function: str) -> int:
        """How many execution environments of a function have begun, and are idle or at work now."""

    def mapping(self, function: str, trigger: trigger.Trigger) -> trigger.Mapping:
        """Bind a trigger to a function while the app runs. Whoever asks feeds the events: no `run` is called.

        The function need not be there, since a reload may bring it back: then `enqueue` raises `FunctionNotFound`.
        """

    def run_with_triggers(self, run: Callable[..., Any], *, polls: bool = False) -> None:
        """Run this as the triggers are run, which it must end like: `run(*, task_status)` begins when they do, calls
        `task_status.started()`, and is cancelled when they are, before what was accepted is worked off, or behind it
        where it is what `polls` the app's queues.
        What a person should know may be told with it: `started(("lambda", "the Invoke API at http://..."))`.

        Not called where the app serves no triggers. Where it serves only those whose events can wait outside, what
        polls is called: by `task_status.started()` it must have begun to poll for all that waits.
        """
