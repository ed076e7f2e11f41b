"""Another way to run a function than to call a Python handler of its app: what an environment provider is.

A provider's functions run in environments like all others: processes that a template forks, with a deadline, a memory
limit, a temporary directory and captured output, which the core sees to. A provider says what is *inside* such a
process, and in what it begins. As in Lambda, what fails while it begins is tried once more inside the invocation that
waits for it, in a fresh process and under the function's own timeout; what fails then is the invocation's failure.

This module is imported in every template: it must stay light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from .event import JSON

if TYPE_CHECKING:
    from pathlib import Path

    from .event import Event
    from .function import Function


class Preparation(msgspec.Struct, frozen=True):
    """In what a function's environments begin. Functions whose preparations and variables are equal share a template.

    `inside` is the `module:callable` of an `Inside`, which the template imports; `path` is searched for modules before
    all else, `directory` is the current one, and `variables` are set beside the function's own, which win.
    """

    inside: str
    directory: str
    path: tuple[str, ...] = ()
    variables: dict[str, str] = {}


class EnvironmentProvider(Protocol):
    """What a plugin brings by `fnframe_environment_provider`."""

    Settings: type[msgspec.Struct]
    """The table of the kind's name in fnframe.toml; every field needs a default."""

    def functions(self, settings: Any, directory: Path) -> Sequence[Function]:
        """Functions that the settings declare, beside those of the app. `directory` is the app's.

        Called at each start and reload. Raises `ConfigurationError`.
        """

    def arn(self, function: Function, settings: Any) -> str:
        """What records for destinations call a function of this kind; empty for its name."""

    def prepare(self, function: Function, settings: Any, directory: Path, scratch: Path) -> Preparation:
        """In what the environments of this function begin. `scratch` is a folder that lives as long as the app runs.

        Called in a thread, before the function's template starts. Raises `ConfigurationError`.
        """


class FirstTry(msgspec.Struct, frozen=True, array_like=True):
    """How the environment before this one failed to begin: that it took too long (`overran`) or else raised or died,
    and after how many milliseconds."""

    overran: bool
    duration_ms: float


class Start(NamedTuple):
    """What an environment knows when it begins. `response_payload` is the largest result, in bytes; `again` says that
    it is tried once more, within the invocation that waits for it, and how the first try ended."""

    function: Function
    environment_id: str
    temporary_directory: str
    response_payload: int
    again: FirstTry | None = None


class Call(NamedTuple):
    """One invocation; `timeout` in seconds."""

    request_id: str
    timeout: float
    attempt: int
    event: Event


class Used(NamedTuple):
    """What an invocation used in a process other than the environment's own: its peak of resident memory in KB, and
    processor time in microseconds. `spent` says that this process is gone, and that its environment must go too."""

    peak_kb: int
    cpu_us: int
    spent: bool = False


class Answer(NamedTuple):
    """The function's result. `used` is None where the environment's own process did the work, which measures itself."""

    payload: bytes
    content_type: str = JSON
    used: Used | None = None


class Problem(Exception):
    """The function failed: raised by an inside, while it begins or in an invocation.

    `body` is the error payload as the function's runtime made it, which the caller gets untouched; without one it is
    made of the other parts.
    """

    def __init__(
        self,
        error_type: str,
        message: str,
        *,
        stack_trace: Sequence[str] = (),
        body: bytes = b"",
        used: Used | None = None,
    ) -> None:
        self.error_type = error_type
        self.message = message
        self.stack_trace = list(stack_trace)
        self.body = body
        self.used = used
        super().__init__(f"{error_type}: {message}")


class Serve(Protocol):
    """Runs one invocation after the other."""

    elsewhere: bool
    """Whether the work is done in a process that this one started and keeps: this process's own memory does not count
    then, and the child is not one that a handler left behind."""

    def __call__(self, call: Call) -> Answer:
        """Raises `Problem`; anything else that is raised ends the environment."""


Inside = Callable[[Start], Serve]
"""What runs in an environment's process: called once when it begins. May raise `Problem`."""
