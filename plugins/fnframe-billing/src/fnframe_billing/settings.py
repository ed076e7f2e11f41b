"""The table `[billing]` of fnframe.toml."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from fnframe.destination import masked

from .book import DEFAULT
from .schema import MEMORY

Amount = Annotated[int, msgspec.Meta(ge=0)]

LEDGER = ".fnframe/ledger.db"

EACH = "*"
"""For each tenant, function or value of a tag by itself."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be used in a day or a month: `[[billing.budgets]]`.

    `requests`, `gb_seconds` or `cost` says how much: `cost` in the currency of the price book, at the prices of its
    first tier and without a free tier. It is for the whole app, or for one `function`, one `tenant`, or one `tag`
    (`"team=web"`); `"*"` (`"team=*"`) is for each by itself. Days and months begin at midnight in `timezone`. When it
    is spent, `"warn"` says so in the log; `"throttle"` refuses invocations until the period begins anew, for which
    asynchronous events wait as long as their maximum age allows; `"stop"` refuses them for good.
    """

    name: str
    requests: Amount | None = None
    gb_seconds: Amount | None = None
    cost: Decimal | None = None
    function: str | None = None
    tenant: str | None = None
    tag: str | None = None
    per: Literal["day", "month"] = "month"
    timezone: str = "UTC"
    action: Literal["warn", "throttle", "stop"] = "warn"

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.requests, self.gb_seconds, self.cost) if limit is not None]
        if len(limits) != 1:
            raise ValueError(f"the budget {self.name!r} needs one of requests, gb_seconds and cost, has {len(limits)}")
        if self.cost is not None and not (self.cost.is_finite() and self.cost >= 0):
            raise ValueError(f"the budget {self.name!r}: cost must not be negative, found {self.cost}")
        scopes = [scope for scope in (self.function, self.tenant, self.tag) if scope is not None]
        if len(scopes) > 1:
            raise ValueError(f"the budget {self.name!r} must have at most one of function, tenant and tag")
        if self.tag is not None and not all(self.tag.partition("=")):
            raise ValueError(f"the budget {self.name!r}: tag must be 'NAME=VALUE' or 'NAME=*', found {self.tag!r}")
        self._check_timezone()

    def _check_timezone(self) -> None:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(self.timezone)
        except (OSError, ValueError, LookupError):
            raise ValueError(
                f"the budget {self.name!r}: timezone must be an IANA name such as 'Europe/Berlin', found "
                f"{self.timezone!r}"
            ) from None


class Collector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where usage events are sent: `[billing.collector]`.

    Each invocation is one CloudEvent of `type`, whose `source` (by default the app's name) and id are the same whenever
    it is sent again. `url` gets them by POST, `batch` at once; `token` is sent as a bearer token, and may be the name
    of a variable: `"$OPENMETER_TOKEN"`.
    """

    url: str
    type: str = "fnframe.invocation"
    source: str | None = None
    token: str | None = None
    batch: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100

    def __post_init__(self) -> None:
        from urllib.parse import urlsplit

        found = f"found {masked(self.url)!r}"
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"collector.url must begin with http:// or https://, {found}")
        try:
            place = urlsplit(self.url)
            host, _ = place.hostname, place.port
        except ValueError:  # Its text may hold what is secret.
            host = None
        if not host or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError(f"collector.url must be a URL with a host, of printable ASCII without spaces, {found}")
        if "@" in place.netloc:
            raise ValueError(f"collector.url must hold no password, which belongs into collector.token; {found}")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an app is billed.

    `ledger` is a file beside the app, by default `.fnframe/ledger.db`, or `"memory:"`; without `enabled` nothing is
    recorded. `price` is a price book by name, or a file that ends in `.toml`. `commit`: `"grouped"` writes what was
    replied to within 50 ms, `"before-reply"` lets a caller wait until it is written. Rows of single invocations are
    kept for `keep_days`, their sums for ever.
    """

    enabled: bool = True
    ledger: str | None = None
    price: str = DEFAULT
    free_tier: bool = True
    commit: Literal["grouped", "before-reply"] = "grouped"
    keep_days: Annotated[int, msgspec.Meta(ge=1)] = 62
    budgets: tuple[Budget, ...] = ()
    collector: Collector | None = None

    def __post_init__(self) -> None:
        names = [budget.name for budget in self.budgets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two budgets have the name {twice[0]!r}")

    def path(self, directory: Path) -> Path | str:
        """Where the ledger of the app in this folder is."""
        return MEMORY if self.ledger == MEMORY else directory / (self.ledger or LEDGER)
