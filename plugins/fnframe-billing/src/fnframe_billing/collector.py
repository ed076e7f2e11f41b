"""Sends each invocation to a collector of usage, as a CloudEvent such as OpenMeter takes; again, until it is taken."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import logging
import os
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import msgspec
from anyio.to_thread import run_sync

from fnframe import ConfigurationError

from .ledger import Position
from .rows import UsageRow, usage_after
from .usage import GB_S

if TYPE_CHECKING:
    from .ledger import Ledger
    from .settings import Collector

log = logging.getLogger("fnframe.billing")

BATCH = "application/cloudevents-batch+json"

LOOK = 1.0
"""Seconds from one look for new invocations to the next."""
PATIENCE = 10.0
"""Seconds for one request."""
BASE, CAP = 0.5, 60.0
"""Seconds until a request that failed is sent again: up to the first, doubled each time up to the second."""
LONGEST = 3600.0
"""Seconds that a collector may ask to be left alone."""


class Refused(Exception):
    """The collector did not take a batch: why, and when it may be tried again, where it said so."""

    def __init__(self, problem: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(problem)


class Sender:
    """Sends what the ledger has, in its order. How far it is, the ledger keeps: after a crash, some come again, under
    the same ids."""

    def __init__(self, settings: Collector, ledger: Ledger, app: str, *, init_billed: bool) -> None:
        self._settings = settings
        self._ledger = ledger
        self._app = app
        self._init_billed = init_billed
        # What is in a URL may be secret, and the ledger is for other eyes.
        place = settings.url.partition("?")[0]
        self._reader = f"collector {hashlib.sha256(place.encode()).hexdigest()[:16]}"
        self._headers = {"Content-Type": BATCH} | _authorization(settings.token)

    def sent(self) -> int:
        """The id of the last row that was taken."""
        return self._ledger.position(self._reader).position

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        failures = 0
        while True:
            try:
                if not await self.send_batch():
                    await anyio.sleep(LOOK)
                failures = 0
            except Exception as error:
                failures += 1
                delay = max(_backoff(failures), getattr(error, "retry_after", None) or 0.0)
                told = "usage is not taken by the collector at %s (%s); trying again in %.1f s"
                log.warning(told, urlsplit(self._settings.url).hostname, error, delay)
                await anyio.sleep(delay)

    async def send_batch(self) -> bool:
        """Send the next invocations; False if there are none. Raises `Refused`, and `apsw.Error`."""
        return await run_sync(self._send_batch, abandon_on_cancel=True)

    def _send_batch(self) -> bool:
        if not self._ledger.exists():
            return False
        connection = self._ledger.reader()
        try:
            rows = usage_after(connection, self.sent(), self._settings.batch)
        finally:
            connection.close()
        if rows:
            post(self._settings.url, msgspec.json.encode([self._event(row) for row in rows]), self._headers)
            self._ledger.move(self._reader, Position(rows[-1].id, ""))
        return bool(rows)

    def _event(self, row: UsageRow) -> dict[str, Any]:
        """What a meter may count, and by what it may be grouped."""
        milliseconds = row.billed_ms if self._init_billed else row.handler_ms
        return {
            "specversion": "1.0",
            "id": f"{row.request_id}:{row.attempt}",
            "source": self._settings.source or self._app,
            "type": self._settings.type,
            "subject": row.tenant or self._app,
            "time": dt.datetime.fromtimestamp(row.started_ms / 1000, dt.UTC),
            "datacontenttype": "application/json",
            "data": {
                "function": row.function,
                "trigger": row.trigger,
                "invocation_type": row.invocation_type,
                "outcome": row.outcome,
                "memory_mb": row.memory_mb,
                "requests": row.requests,
                "billed_ms": milliseconds,
                "mb_ms": row.memory_mb * milliseconds,
                "gb_seconds": row.memory_mb * milliseconds / GB_S,
                "peak_mb": None if row.peak_kb is None else row.peak_kb / 1024,
                "cpu_ms": None if row.cpu_us is None else row.cpu_us / 1000,
                "tags": msgspec.json.decode(row.tags),
            },
        }


def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """POST a batch; no redirect is followed. Raises `Refused`."""
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=PATIENCE)
    try:
        connection.request("POST", f"{place.path or '/'}{f'?{place.query}' if place.query else ''}", body, headers)
        with connection.getresponse() as response:
            if not 200 <= response.status < 300:
                raise Refused(f"{response.status} {response.reason}", _seconds(response.getheader("Retry-After")))
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    finally:
        connection.close()


def _authorization(token: str | None) -> dict[str, str]:
    """The header of a token, which may be the name of a variable. Raises `ConfigurationError`."""
    if token is None:
        return {}
    if token.startswith("$"):
        if token[1:] not in os.environ:
            raise ConfigurationError(f"[billing.collector]: token is the variable {token[1:]}, which is not set")
        token = os.environ[token[1:]]
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():  # As a header it would be told in the error.
        raise ConfigurationError("[billing.collector]: token must be of printable ASCII characters, and is not")
    return {"Authorization": f"Bearer {token}"}


def _seconds(retry_after: str | None) -> float | None:
    return min(float(retry_after), LONGEST) if retry_after is not None and retry_after.isdecimal() else None


def _backoff(failures: int) -> float:
    return random.uniform(BASE / 2, min(CAP, BASE * 2 ** min(failures - 1, 16)))  # noqa: S311  no secret
