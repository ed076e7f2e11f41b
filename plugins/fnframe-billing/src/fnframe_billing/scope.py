"""On whose account an invocation goes, and for which time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from .settings import EACH, Budget


class Scope(NamedTuple):
    """What budgets have in common that share their accounts: whom they are for, and for how long.

    `value` is one function, tenant or value of the tag `tag`, or `EACH` of them by itself.
    """

    kind: Literal["app", "function", "tenant", "tag"]
    tag: str
    value: str
    per: Literal["day", "month"]
    timezone: str

    @classmethod
    def of(cls, budget: Budget) -> Self:
        """The scope of a budget. Limit and action are no part of it: who changes them goes on with what was spent."""
        tag, _, value = (budget.tag or "").partition("=")
        if budget.tag is not None:
            return cls("tag", tag, value, budget.per, budget.timezone)
        if budget.function is not None:
            return cls("function", "", budget.function, budget.per, budget.timezone)
        if budget.tenant is not None:
            return cls("tenant", "", budget.tenant, budget.per, budget.timezone)
        return cls("app", "", "", budget.per, budget.timezone)

    @property
    def key(self) -> str:
        """How the ledger calls it."""
        return f"{self.kind} {self.tag}={self.value} per {self.per} in {self.timezone}"

    def subject(self, function: str, tenant: str | None, tags: Mapping[str, str]) -> str | None:
        """On whose account an invocation goes, `""` for the app's; None if it is no matter of this scope."""
        if self.kind == "app":
            return ""
        found = function if self.kind == "function" else tenant if self.kind == "tenant" else tags.get(self.tag)
        return found if self.value in (EACH, found) else None

    def describe(self, subject: str) -> str:
        """`tenant 'acme'`."""
        return f"{f'tag {self.tag}' if self.kind == 'tag' else self.kind} {subject!r}" if subject else "the app"


class Period(NamedTuple):
    """From when until when, in seconds since the epoch."""

    begin: int
    end: int


class Calendar:
    """Finds the day or month of a moment, on the clocks of a time zone; of most moments it only sees that they lie in
    the same as the one before."""

    def __init__(self, scope: Scope) -> None:
        self._is_day = scope.per == "day"
        self._zone = ZoneInfo(scope.timezone)
        self._period = Period(0, 0)

    def period(self, moment: float) -> Period:
        """The period that the moment lies in, also where clocks were set back into an earlier one."""
        period = self._period  # Other threads may find another meanwhile.
        if not period.begin <= moment < period.end:
            day = dt.datetime.fromtimestamp(moment, self._zone).date()
            first = day if self._is_day else day.replace(day=1)
            after = day + dt.timedelta(days=1) if self._is_day else (first + dt.timedelta(days=32)).replace(day=1)
            self._period = period = Period(self._begin(first), self._begin(after))
        return period

    def text(self, moment: int) -> str:
        """How the zone's clocks show a moment."""
        return f"{dt.datetime.fromtimestamp(moment, self._zone):%Y-%m-%d %H:%M} {self._zone.key}"

    def _begin(self, day: dt.date) -> int:
        """The first moment of a day: midnight, or where clocks are set over it, what follows."""
        return int(dt.datetime.combine(day, dt.time(), self._zone).timestamp())
