"""The trigger: its configuration, checked where the user writes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from fnframe import ConfigurationError, Trigger
from fnframe.errors import nearest

from .expression import parse

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping

Misfire = Literal["once", "all", "skip"]
Overlap = Literal["allow", "queue", "skip"]

LONGEST = 366 * 86_400.0
"""Bound of `grace` and `window`, in seconds."""


class Cron(Trigger, frozen=True):
    """A schedule: `Cron("*/5 * * * *", tz="Europe/Berlin")`; the handler gets a `Tick`.

    `expression` is one of

    - 5 fields (minute, hour, day of the month, month, day of the week) or 6 (the second before them), as in crontab(5),
      with names (`MON-FRI`), `L`, `15W`, `LW`, `5L`, `5#2` for days relative to their month, or `@daily` and its like;
    - EventBridge's `cron(0 12 * * ? *)`, `rate(5 minutes)` and `at(2027-01-31T09:00:00)`, by its rules. A rate counts
      from the epoch.

    `tz` is an IANA time zone. Where its clocks are set: a time whose hours are chosen comes once on each day, at its
    first showing, or after the gap if it is in one; where the hour is `*`, it comes whenever the clocks show it.

    `misfire` is what becomes of instants that are found more than a minute late, since the app did not run or its clock
    was wrong: `"once"` fires the last of what is due, `"all"` each in its turn, `"skip"` none of those. What is more
    than `grace` seconds late (a day) does not fire at all.

    `overlap` is what happens where the event before has not come to its end, retries included: `"allow"` runs both,
    `"queue"` runs them one after the other, and `"skip"` leaves out the new one.

    `window` spreads the firings: each is late by a part of so many seconds that its event's id decides, so that all
    processes agree. `name` tells schedules of one function apart.

    Raises `ConfigurationError` for what makes no sense.
    """

    expression: str
    tz: str = "UTC"
    misfire: Misfire = "once"
    grace: float = 86_400.0
    overlap: Overlap = "allow"
    window: float = 0.0
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.expression, str):
            raise ConfigurationError(f"Cron: expected an expression such as '*/5 * * * *', found {self.expression!r}")
        parse(self.expression)
        if not isinstance(self.tz, str) or not _is_zone(self.tz):
            raise ConfigurationError(
                f"Cron: tz must be an IANA time zone such as 'Europe/Berlin', found {self.tz!r}{_nearest_zone(self.tz)}"
            )
        _check_choice("misfire", self.misfire, get_args(Misfire))
        _check_choice("overlap", self.overlap, get_args(Overlap))
        _check_seconds("grace", self.grace)
        _check_seconds("window", self.window)
        if self.name is not None and (not isinstance(self.name, str) or not self.name or not self.name.isprintable()):
            raise ConfigurationError(f"Cron: name must be a printable text, found {self.name!r}")

    def identity(self) -> str:
        """How its instants are dealt with does not make it another schedule."""
        return " ".join(self.expression.split()) + f" {self.tz}" + (f" {self.name}" if self.name else "")

    def title(self) -> str:
        """What its ticks call it."""
        return self.name or self.expression

    def describe(self) -> str:
        """As the user wrote it."""
        options = [
            f"{field.name}={value!r}"
            for field in msgspec.structs.fields(self)
            if field.name != "expression" and (value := getattr(self, field.name)) != field.default
        ]
        return f"Cron({', '.join([repr(self.expression), *options])})"

    @classmethod
    async def run_all(cls, mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
        # One heap for all schedules; croniter is no business of the templates that import this module.
        from .serving import serve

        await serve(mappings, task_status=task_status)


@lru_cache(maxsize=1000)
def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _nearest_zone(name: object) -> str:
    from zoneinfo import available_timezones

    return nearest(name, available_timezones()) if isinstance(name, str) else ""


def _check_choice(option: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigurationError(
            f"Cron: {option} must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, found {value!r}"
            f"{nearest(str(value), known)}"
        )


def _check_seconds(option: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST:
        raise ConfigurationError(f"Cron: {option} must be seconds from 0 to {LONGEST:,.0f} (a year), found {value!r}")
