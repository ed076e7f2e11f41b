"""Triggers that are polled: what a user may set of how a queue or a stream feeds a function.

A plugin that brings a transport derives its trigger from `QueueTrigger` or `StreamTrigger` and calls `mapping.poll`
with an object that implements the protocol of a queue or a stream (`fnframe.engine.protocol`): batches, retries, order
and checkpoints come from the core.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, ClassVar

import msgspec

from . import schema
from .destination import check_destination
from .errors import ConfigurationError
from .outcome import InvocationType
from .trigger import Trigger

POISON = 3
"""So often may an event end its environment, or the host that ran it, before it is given up on."""


class PolledTrigger(Trigger, frozen=True, kw_only=True):
    """What queues and streams have in common.

    Up to `batch_size` records (1 to 10,000) make a batch. It begins when it is full, when its first record has waited
    for `window` seconds (0 to 300), or when another record would make it larger than an event may be (6 MB). Of one
    record is each batch with `batch_size=1`: the handler then takes the record's data itself, else a
    `Batch[...]` or a list.

    The `filter` sees the `data`, `id` and `key` of each record (in a queue, the group of the message); a queue forgets
    what does not fit.

    With `partial_failures` a handler's answer may name the records that failed (`batch_item_failures`, or Lambda's
    `batchItemFailures`); without, whatever it returns says that all is done.

    A record that ended its environment (memory, exit; not a timeout), or whose host went away, comes alone from then
    on, and after `poison` such ends it is given up on, where it has somewhere to go.
    """

    batch_size: int = 10
    window: float = 0.0
    poison: int = POISON
    partial_failures: bool = True

    invocation_type: ClassVar[InvocationType] = "polled"
    has_backlog: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._check("batch_size", 1, 10_000, "records")
        self._check("window", 0, 300, "seconds", whole=False)
        self._check("poison", 1, 1_000, "ends of an environment")
        self._check_flag("partial_failures")

    def reads(self) -> str | None:
        """What it reads of the app's engine, `"queue:orders"` or `"stream:clicks"`; None where it reads elsewhere."""
        return None

    def identity(self) -> str:
        """How it is polled does not make it another one: a function goes on where it was."""
        fields = msgspec.to_builtins(self)
        return msgspec.json.encode({name: fields[name] for name in fields if name not in _options()}).decode()

    def check_handler(self, annotation: Any) -> None:
        """Raises `ConfigurationError` where a handler that takes one record would get several."""
        if self.batch_size > 1 and schema.is_one_value(annotation):
            name = getattr(annotation, "__name__", repr(annotation))
            raise ConfigurationError(
                f"{self.describe()}: up to {self.batch_size:,} records come at once, and the handler takes one {name}: "
                f"annotate it with Batch[{name}] (from fnframe) or list[{name}], or set batch_size=1"
            )

    def _check(self, option: str, low: float, high: float, unit: str, *, whole: bool = True) -> None:
        """Raises `ConfigurationError` for a number that is none, or out of bounds."""
        value = getattr(self, option)
        kinds = int if whole else (int, float)
        number = "whole number" if whole else "number"
        kind = type(self).__name__
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ConfigurationError(f"{kind}: {option} must be a {number} of {unit}, found {value!r}")
        if not low <= value <= high:
            raise ConfigurationError(f"{kind}: {option} must lie between {low:,} and {high:,} {unit}, found {value:,}")

    def _check_flag(self, option: str) -> None:
        value = getattr(self, option)
        if not isinstance(value, bool):
            raise ConfigurationError(f"{type(self).__name__}: {option} must be True or False, found {value!r}")

    def _check_optional(self, option: str, low: float, high: float, unit: str, *, whole: bool = True) -> None:
        if getattr(self, option) is not None:
            self._check(option, low, high, unit, whole=whole)


class QueueTrigger(PolledTrigger, frozen=True, kw_only=True):
    """A queue whose messages a function handles, in any order but that of their groups.

    A message that failed comes back after a random wait that doubles each time. After `maximum_attempts` (1 to 1,000),
    or when it is older than `maximum_age` seconds, it goes to the queue's dead letters. On its last attempt it comes
    alone, so that what failed together with it is not given up on with it. `maximum_concurrency` (1 to 1,000) bounds
    the batches in progress; by default the app's `max_environments` does.
    """

    maximum_concurrency: int | None = None
    maximum_attempts: int = 3
    maximum_age: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_optional("maximum_concurrency", 1, 1_000, "batches")
        self._check("maximum_attempts", 1, 1_000, "attempts")
        self._check_optional("maximum_age", 1, 14 * 86_400, "seconds", whole=False)


class StreamTrigger(PolledTrigger, frozen=True, kw_only=True):
    """A stream whose records a function handles, those of one key in their order.

    `start` is where a function begins that was not there before: at the `"earliest"` record that the stream keeps,
    with what is published from now on (`"latest"`), or at a moment: seconds since the epoch, or a text such as
    `"2026-01-31T12:00:00Z"`. Each partition is read by up to `lanes` (1 to 10) invocations at once, and what has one
    key by one of them.

    A batch that failed comes again after a random wait that doubles each time, and what lies behind it waits. With
    `bisect` it comes in halves. A batch is given up on after `maximum_attempts` (1 to 10,001; by default never), and
    so is a record older than `maximum_age` seconds (by default never): then a record that names the range goes to
    `on_failure`, a destination as those of `app.function`.

    `tumbling_window` (0 to 900 seconds; 0 is off) hands a state from one invocation to the next of the same window, as
    in Lambda: the handler returns `{"state": ...}` and gets it in `batch.window.state`.
    """

    batch_size: int = 100
    start: str | float = "earliest"
    lanes: int = 1
    bisect: bool = False
    maximum_attempts: int | None = None
    maximum_age: float | None = None
    on_failure: str | None = None
    tumbling_window: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.starting_moment()
        self._check("lanes", 1, 10, "lanes")
        self._check_optional("maximum_attempts", 1, 10_001, "attempts")
        self._check_optional("maximum_age", 1, 7 * 86_400, "seconds", whole=False)
        self._check("tumbling_window", 0, 900, "seconds", whole=False)
        kind = type(self).__name__
        if self.on_failure is not None:
            try:
                check_destination(self.on_failure)
            except ValueError as error:
                raise ConfigurationError(f"{kind}: on_failure {error}") from None
        self._check_flag("bisect")
        if self.tumbling_window and self.lanes > 1:
            problem = f"a tumbling_window has one state for each partition, not {self.lanes}"
            raise ConfigurationError(f"{kind}: {problem}: leave lanes at 1")

    def told_as(self, stream: str) -> tuple[str, str]:
        """How records for `on_failure` tell which range was given up: the member for it, and the stream's ARN, or name,
        in it."""
        return "KinesisBatchInfo", stream

    def starting_moment(self) -> float | None:
        """The moment that `start` names, in seconds since the epoch; None for the words.

        Raises `ConfigurationError` for what is neither.
        """
        if self.start in ("earliest", "latest"):
            return None
        try:
            if isinstance(self.start, str):
                moment = dt.datetime.fromisoformat(self.start)
                return moment.replace(tzinfo=moment.tzinfo or dt.UTC).timestamp()
            if not isinstance(self.start, bool) and math.isfinite(self.start):
                return float(self.start)
        except (ValueError, TypeError, OverflowError):
            pass
        raise ConfigurationError(
            f"{type(self).__name__}: start must be 'earliest', 'latest', seconds since the epoch or a text such as "
            f"'2026-01-31T12:00:00Z', found {self.start!r}"
        )


def _options() -> set[str]:
    return {*QueueTrigger.__struct_fields__, *StreamTrigger.__struct_fields__}
