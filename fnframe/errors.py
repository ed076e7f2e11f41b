"""What fnframe raises. A function that fails is no exception here: it is a `Failure`, a value."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .outcome import Failure


PLUGINS = ("billing", "cron", "files", "http", "lambda", "queue", "sqlite", "stream")
"""Of the distributions `fnframe-NAME` that are fnframe's own, the names."""


class FnframeError(Exception):
    """Base of everything that fnframe raises.

    `where` is the place in the user's own files (`app.py:12`, `fnframe.toml: http.port`) or None, and `traceback` the
    user's own frames, where there are any.
    """

    where: str | None = None
    traceback: str = ""


class ConfigurationError(FnframeError):
    """A declaration, a configuration file or a plugin is wrong: nothing ran yet."""

    def __init__(self, problem: str, *, where: str | None = None) -> None:
        self.problem = problem
        self.where = where
        super().__init__(f"{where}: {problem}" if where else problem)


class ImportFailed(ConfigurationError):
    """Importing the app's module failed."""

    def __init__(self, error_type: str, message: str, *, where: str | None = None, traceback: str = "") -> None:
        self.error_type = error_type
        self.message = message
        self.traceback = traceback
        problem = message if error_type == "ConfigurationError" else f"{error_type}: {message}"
        super().__init__(problem + _missing_plugin(message), where=where)


def _missing_plugin(message: str) -> str:
    """What to install, if an import failed for one of fnframe's own plugins."""
    name = message.removeprefix("No module named 'fnframe_").removesuffix("'")
    return f"; install fnframe-{name}" if name in PLUGINS else ""


class TriggerFailed(FnframeError):
    """A trigger's own code raised, which ends the app; the exception itself is the `__cause__`."""

    def __init__(self, trigger: str, problem: str, *, where: str | None, traceback: str) -> None:
        self.where = where
        self.traceback = traceback
        problem = f"{trigger} failed: {problem}"
        super().__init__(f"{where}: {problem}" if where else problem)


class FunctionNotFound(FnframeError, LookupError):
    """A caller named a function that the app does not have."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        known = sorted(known)
        hint = nearest(name, known) if isinstance(name, str) else ""
        super().__init__(f"no function {name!r}{hint}; this app has: {', '.join(known) or 'none'}")


class FunctionError(FnframeError):
    """Raised by `outcome.unwrap()` when the outcome is a `Failure`, which it carries as `failure`."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure.report.function}: {failure.error_type}: {failure.message}")


class QueueFull(FnframeError):
    """An engine's queue is at its bound: the event was not accepted. Raised by `enqueue` and `send`."""

    def __init__(self, queue: str, bound: int) -> None:
        self.queue = queue
        self.bound = bound
        super().__init__(
            f"the queue {queue!r} holds {bound:,} events, its bound; the event was not accepted: "
            "slow the producer down, or raise `queue_bound`"
        )


class EngineFailed(FnframeError):
    """An engine could not do what it was asked: a full disk, a lock that another program holds, a lost connection.

    Nothing of what was asked was kept, and what was accepted before is safe; the same may be asked again. Raised by
    everything that uses the engine. `where` is the engine's file or address.
    """

    def __init__(self, problem: str, *, where: str | None = None) -> None:
        self.problem = problem
        self.where = where
        super().__init__(f"{where}: {problem}" if where else problem)


class PayloadTooLarge(FnframeError):
    """An event's data is over the limit for asynchronous invocations; the event was not accepted."""

    def __init__(self, target: str, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(f"event for {target!r} has {size:,} bytes of data; the limit here is {limit:,} bytes")


class RecursionStopped(FnframeError):
    """A chain of functions that invoke each other reached its depth; the event was not accepted."""

    def __init__(self, target: str, depth: int) -> None:
        self.depth = depth
        super().__init__(
            f"event for {target!r} refused: it is hop {depth} of a chain of functions that invoke each other, "
            f"and {depth - 1} is the limit; functions that feed each other without end are stopped here "
            "(`App(..., limits=Limits(depth=...))` raises it)"
        )


class NotRunning(FnframeError):
    """An app was used before it ran, or after it ended."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`", did you mean 'x'?"`, or nothing when no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""
