"""Budgets: how much of each is spent, and whether an invocation may begin."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from fnframe.hookspecs import Refusal

from .figures import usage_of
from .hours import Used
from .ledger import Spent
from .money import UNIT
from .pricing import list_price
from .scope import Calendar, Scope
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
        taken = 0
        for name, weight in self.weights.items():
            taken += weight * getattr(usage, name)
        return taken


class Account:
    """What one subject used in one period, as what that takes of each limit: `written` by all hosts, and `waiting` of
    what this one heard, and what is not known to be written."""

    __slots__ = ("reached", "waiting", "written")

    def __init__(self, limits: int) -> None:
        self.written = [0] * limits
        self.waiting = [0] * limits
        self.reached: set[int] = set()
        """The limits of which the log told that they are reached."""

    def taken(self, number: int) -> int:
        """What is taken of a limit."""
        return self.written[number] + self.waiting[number]


class Heard(NamedTuple):
    """What an attempt takes of each limit of an account, while it is not known to be written."""

    key: Spent
    account: Account
    taken: list[int]

    def drop(self) -> None:
        """It waits no more."""
        for number, amount in enumerate(self.taken):
            self.account.waiting[number] -= amount


class Accounts:
    """The accounts of one scope, with the limits of all budgets that it is the scope of."""

    def __init__(self, scope: Scope, budgets: Iterable[Budget], book: PriceBook) -> None:
        self.scope = scope
        self.name = scope.key
        self.calendar = Calendar(scope)
        self.limits = [Limit(budget, book) for budget in budgets]
        self.refusing = [n for n, limit in enumerate(self.limits) if limit.budget.action != "warn"]
        self._accounts: dict[Spent, Account] = {}

    def key(self, function: str, tenant: str | None, tags: Mapping[str, str], moment: float) -> Spent | None:
        """The account that something goes on; None if it is no matter of this scope."""
        subject = self.scope.subject(function, tenant, tags)
        return None if subject is None else Spent(self.name, subject, self.calendar.period(moment).begin)

    def hear(self, key: Spent, usage: Usage) -> Heard:
        """Count a usage that is not written yet."""
        account, taken = self._account(key), []
        for number, limit in enumerate(self.limits):
            amount = limit.taken(usage)
            taken.append(amount)
            account.waiting[number] += amount
            if account.taken(number) >= limit.most:
                self._tell(key, account, number)
        return Heard(key, account, taken)

    def learn(self, key: Spent, total: Usage) -> None:
        """What all hosts have written of an account."""
        account = self._account(key)
        for number, limit in enumerate(self.limits):
            account.written[number] = limit.taken(total)
            if account.taken(number) >= limit.most:
                self._tell(key, account, number)

    def spent_limit(self, key: Spent) -> Limit | None:
        """The first limit that lets nothing more begin on this account."""
        account = self._accounts.get(key)
        for number in self.refusing:
            if (0 if account is None else account.taken(number)) >= self.limits[number].most:
                return self.limits[number]
        return None

    def _account(self, key: Spent) -> Account:
        if key not in self._accounts:
            if len(self._accounts) >= MOST_ACCOUNTS:
                self._forget(key.period)
            self._accounts[key] = Account(len(self.limits))
        return self._accounts[key]

    def _forget(self, period: int) -> None:
        """Let go of what is written: of other periods, or else the smaller half. It is learned again when it grows."""
        written = [key for key, account in self._accounts.items() if not any(account.waiting)]
        others = [key for key in written if key.period != period]
        for key in others or sorted(written, key=lambda key: self._accounts[key].written)[: MOST_ACCOUNTS // 2]:
            del self._accounts[key]

    def _tell(self, key: Spent, account: Account, number: int) -> None:
        """Say once in the log that a limit is reached."""
        if number not in account.reached:
            account.reached.add(number)
            limit, whose = self.limits[number], self.scope.describe(key.subject)
            told = "budget %r is spent: %s of %s; %s"
            log.warning(told, limit.budget.name, limit.text, whose, _MEANS[limit.budget.action])


class Budgets:
    """All budgets of an app. May be used from any thread.

    What is spent is written by the ledger, together with the rows that it is the sum of; what was heard and is not
    written yet is counted beside it. `now` is the time that decides which period it is.
    """

    def __init__(self, budgets: Iterable[Budget], book: PriceBook, now: Callable[[], float] = time.time) -> None:
        self.init_billed = book.init_billed
        self._now = now
        self._lock = threading.Lock()
        by_scope: dict[Scope, list[Budget]] = {}
        for budget in budgets:
            by_scope.setdefault(Scope.of(budget), []).append(budget)
        self.accounts = [Accounts(scope, mine, book) for scope, mine in by_scope.items()]
        self._gates = [accounts for accounts in self.accounts if accounts.refusing]
        self._heard: dict[tuple[str, int], list[Heard]] = {}
        """What is counted of each attempt that was heard and is not known to be written."""

    def begin(self, ledger: Ledger) -> None:
        """Go on with what was spent of the periods that it is now."""
        for accounts in self.accounts:
            period = accounts.calendar.period(self._now()).begin
            totals = ledger.accounts(accounts.scope, period, self.init_billed)
            self.written((), {Spent(accounts.name, subject, period): usage for subject, usage in totals.items()})

    @property
    def refuses(self) -> bool:
        """Whether any of them may refuse an invocation."""
        return bool(self._gates)

    def hear(self, report: Report) -> None:
        """Count an invocation, in the period that it began in, before it is written."""
        usage = usage_of(report, init_billed=self.init_billed)
        if not usage.invocations:
            return
        moment, heard = report.started_at.timestamp(), []
        with self._lock:
            self._drop(report)  # Interrupted, and done once more.
            for accounts in self.accounts:
                key = accounts.key(report.function, report.tenant, report.tags, moment)
                if key is not None:
                    heard.append(accounts.hear(key, usage))
            if heard:
                self._heard[report.request_id, report.attempt] = heard

    def spent(self, uses: Iterable[Used]) -> dict[Spent, Usage]:
        """What was used takes so much from each account."""
        found: dict[Spent, Usage] = {}
        for use in uses:
            for accounts in self.accounts:
                key = accounts.key(use.function, use.tenant, use.tags, use.moment)
                if key is not None:
                    found[key] = found.get(key, Usage()) + use.usage
        return found

    def waiting(self, reports: Iterable[Report]) -> set[Spent]:
        """The accounts that count these as not written yet."""
        with self._lock:
            keys = [(report.request_id, report.attempt) for report in reports]
            return {heard.key for key in keys for heard in self._heard.get(key, ())}

    def written(self, reports: Iterable[Report], totals: Mapping[Spent, Usage]) -> None:
        """These are in the ledger now, by whomever; `totals` is what all hosts have spent by that."""
        with self._lock:
            for report in reports if self._heard else ():
                self._drop(report)
            for accounts in self.accounts:
                for key, total in totals.items():
                    if key.budget == accounts.name:
                        accounts.learn(key, total)

    def refusal(self, function: Function, tenant: str | None) -> Refusal | None:
        """Why an invocation may not begin now."""
        now = self._now()
        with self._lock:
            for accounts in self._gates:
                key = accounts.key(function.name, tenant, function.tags, now)
                limit = None if key is None else accounts.spent_limit(key)
                if limit is not None:
                    return _refusal(limit, accounts.calendar, now)
        return None

    def _drop(self, report: Report) -> None:
        for heard in self._heard.pop((report.request_id, report.attempt), ()):
            heard.drop()


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
