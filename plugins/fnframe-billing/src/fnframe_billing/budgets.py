"""Budgets: how much of each is spent, and whether an invocation may begin."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fnframe.hookspecs import Refusal

from .figures import usage_of
from .ledger import Spent
from .money import UNIT
from .pricing import list_price
from .scope import Calendar, Period, Scope
from .usage import GB_S, Usage

if TYPE_CHECKING:
    from fnframe import Function, Report

    from .book import PriceBook
    from .ledger import Ledger
    from .settings import Budget

log = logging.getLogger("fnframe.billing")

MOST_ACCOUNTS = 100_000
"""Accounts of one scope that are remembered: tenants come from outside."""


class Limit:
    """How much a budget allows, as a whole number; `weights` tell what each unit of a usage's fields takes of it."""

    def __init__(self, budget: Budget, book: PriceBook) -> None:
        self.budget = budget
        self.text = f"{_amount(budget, book)} a {budget.per}"
        if budget.requests is not None:
            self.weights, self.most = {"requests": 1}, budget.requests
        elif budget.gb_seconds is not None:
            self.weights, self.most = {"mb_ms": 1, "provisioned_mb_ms": 1}, budget.gb_seconds * GB_S
        else:
            assert budget.cost is not None
            prices = {name: list_price(book, Usage(**{name: 1})) for name in Usage.__struct_fields__}
            limit = budget.cost * UNIT
            common = math.lcm(limit.as_integer_ratio()[1], *(price.denominator for price in prices.values()))
            self.weights = {name: int(price * common) for name, price in prices.items() if price}
            self.most = int(limit * common)

    def taken(self, usage: Usage) -> int:
        """How much a usage takes of it."""
        return sum(weight * getattr(usage, name) for name, weight in self.weights.items())


class Account:
    """What one subject used in one period. `taken` is what that makes of each limit, written or not yet."""

    __slots__ = ("reached", "taken", "unwritten")

    def __init__(self, limits: int) -> None:
        self.taken = [0] * limits
        self.unwritten: list[Usage] = []
        self.reached: set[int] = set()
        """The limits of which the log told that they are reached."""


class Accounts:
    """The accounts of one scope, with the limits of all budgets that it is the scope of."""

    def __init__(self, scope: Scope, budgets: Iterable[Budget], book: PriceBook) -> None:
        self.scope = scope
        self.calendar = Calendar(scope)
        self.limits = [Limit(budget, book) for budget in budgets]
        self.refusing = [n for n, limit in enumerate(self.limits) if limit.budget.action != "warn"]
        self._accounts: dict[Spent, Account] = {}

    def add(self, subject: str, usage: Usage, moment: float) -> None:
        """Put a usage on an account."""
        account = self._account(subject, self.calendar.period(moment))
        account.unwritten.append(usage)
        for number, limit in enumerate(self.limits):
            account.taken[number] += limit.taken(usage)
        self._tell(subject, account)

    def learn(self, key: Spent, total: Usage) -> None:
        """What all hosts have written of an account."""
        account = self._account(key.subject, Period(key.period, 0))
        for number, limit in enumerate(self.limits):
            account.taken[number] = limit.taken(total) + sum(map(limit.taken, account.unwritten))
        self._tell(key.subject, account)

    def take(self) -> dict[Spent, Usage]:
        """What is to be written; from now on it counts as written."""
        taken = {}
        for key, account in self._accounts.items():
            if account.unwritten:
                taken[key] = sum(account.unwritten, Usage())
                account.unwritten = []
        return taken

    def spent_limit(self, subject: str, moment: float) -> Limit | None:
        """The first limit that lets this subject begin nothing more in the period of this moment."""
        account = self._accounts.get(Spent(self.scope.key, subject, self.calendar.period(moment).begin))
        taken = account.taken if account is not None else [0] * len(self.limits)
        return next((self.limits[n] for n in self.refusing if taken[n] >= self.limits[n].most), None)

    def _account(self, subject: str, period: Period) -> Account:
        key = Spent(self.scope.key, subject, period.begin)
        if key not in self._accounts:
            if len(self._accounts) >= MOST_ACCOUNTS:
                self._forget(period)
            self._accounts[key] = Account(len(self.limits))
        return self._accounts[key]

    def _forget(self, period: Period) -> None:
        """Let go of what is written: of other periods, or else the smaller half. It is learned again when it grows."""
        written = [key for key, account in self._accounts.items() if not account.unwritten]
        others = [key for key in written if key.period != period.begin]
        for key in others or sorted(written, key=lambda key: self._accounts[key].taken)[: MOST_ACCOUNTS // 2]:
            del self._accounts[key]

    def _tell(self, subject: str, account: Account) -> None:
        """Say once in the log that a limit is reached."""
        for number, limit in enumerate(self.limits):
            if account.taken[number] >= limit.most and number not in account.reached:
                account.reached.add(number)
                told = "budget %r is spent: %s of %s; %s"
                log.warning(
                    told, limit.budget.name, limit.text, self.scope.describe(subject), _MEANS[limit.budget.action]
                )


class Budgets:
    """All budgets of an app. May be used from any thread.

    `now` is the time that decides which period it is.
    """

    def __init__(self, budgets: Iterable[Budget], book: PriceBook, now: Callable[[], float] = time.time) -> None:
        self._init_billed = book.init_billed
        self._now = now
        self._lock = threading.Lock()
        by_scope: dict[Scope, list[Budget]] = {}
        for budget in budgets:
            by_scope.setdefault(Scope.of(budget), []).append(budget)
        self.accounts = [Accounts(scope, mine, book) for scope, mine in by_scope.items()]
        self._gates = [accounts for accounts in self.accounts if accounts.refusing]

    def begin(self, ledger: Ledger) -> None:
        """Go on with what was spent of the periods that it is now."""
        for accounts in self.accounts:
            period = accounts.calendar.period(self._now())
            totals = ledger.accounts(accounts.scope, period.begin, self._init_billed)
            self.learn({Spent(accounts.scope.key, subject, period.begin): usage for subject, usage in totals.items()})

    @property
    def refuses(self) -> bool:
        """Whether any of them may refuse an invocation."""
        return bool(self._gates)

    def hear(self, report: Report) -> None:
        """Count an invocation, in the period that it began in."""
        usage = usage_of(report, init_billed=self._init_billed)
        if usage.invocations:
            self.add(report.function, report.tenant, report.tags, usage, report.started_at.timestamp())

    def add(self, function: str, tenant: str | None, tags: Mapping[str, str], usage: Usage, moment: float) -> None:
        """Count what was used at a moment."""
        with self._lock:
            for accounts in self.accounts:
                subject = accounts.scope.subject(function, tenant, tags)
                if subject is not None:
                    accounts.add(subject, usage, moment)

    def refusal(self, function: Function, tenant: str | None) -> Refusal | None:
        """Why an invocation may not begin now."""
        for accounts in self._gates:
            subject = accounts.scope.subject(function.name, tenant, function.tags)
            if subject is None:
                continue
            now = self._now()
            limit = accounts.spent_limit(subject, now)
            if limit is not None:
                return _refusal(limit, accounts.calendar, now)
        return None

    def take(self) -> dict[Spent, Usage]:
        """What is to be written to the ledger; who takes it must write it."""
        with self._lock:
            return {key: usage for accounts in self.accounts for key, usage in accounts.take().items()}

    def learn(self, totals: Mapping[Spent, Usage]) -> None:
        """What is written by now, by all hosts."""
        with self._lock:
            for accounts in self.accounts:
                for key, total in totals.items():
                    if key.budget == accounts.scope.key:
                        accounts.learn(key, total)


_MEANS = {
    "warn": "nothing is refused",
    "throttle": "invocations are throttled until it begins anew",
    "stop": "invocations fail until it begins anew",
}


def _amount(budget: Budget, book: PriceBook) -> str:
    if budget.requests is not None:
        return f"{budget.requests:,} {'request' if budget.requests == 1 else 'requests'}"
    return f"{budget.gb_seconds:,} GB-s" if budget.gb_seconds is not None else f"{budget.cost} {book.currency}"


def _refusal(limit: Limit, calendar: Calendar, now: float) -> Refusal:
    end = calendar.period(now).end
    reason = f"The budget {limit.budget.name!r} is spent: {limit.text}. It begins anew at {calendar.text(end)}."
    return Refusal(reason, max(1.0, end - now) if limit.budget.action == "throttle" else None)
