"""How long to wait before something is tried again."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec

from ..clock import Clock
from ..destination import masked
from ..errors import FunctionNotFound, PayloadTooLarge, RecursionStopped

log = logging.getLogger("fnframe.poller")

Answer = TypeVar("Answer")


class RetryPolicy(msgspec.Struct, frozen=True):
    """Full-jitter backoff: a random wait below `base * 2**n` seconds, at most `cap`."""

    base: float = 0.2
    cap: float = 60.0

    def delay(self, attempt: int) -> float:
        """Seconds to wait after this attempt failed."""
        return random.uniform(0, min(self.cap, self.base * 2 ** min(attempt - 1, 32)))  # noqa: S311  no secret


ENGINE_POLICY = RetryPolicy(base=0.1, cap=10.0)
"""Between tries of what an engine could not do just now: a full disk, a file that another process locks."""


async def persist(call: Callable[[], Awaitable[Answer]], clock: Clock, what: str) -> Answer:
    """Do something that must not be left undone, again and again until it does not raise."""
    for attempt in itertools.count(1):
        try:
            return await call()
        except Exception as error:
            delay = ENGINE_POLICY.delay(attempt)
            log.error("%s failed (%s: %s); trying again in %.1f s", what, type(error).__name__, error, delay)  # noqa: TRY400
            await clock.wait(anyio.Event(), clock.monotonic() + delay)
    raise AssertionError


async def put_record(
    put: Callable[[], Awaitable[object]], what: str, destination: str, otherwise: str, clock: Clock, policy: RetryPolicy
) -> bool:
    """Put a record to its destination, if need be again and again; False if it will never be taken there.

    `what` says which record it is, `otherwise` what becomes of it if it is not taken: for the log.
    """
    told, shown = "%s could not be put to %s (%s: %s); %s", masked(destination)
    for attempt in itertools.count(1):
        try:
            await put()
        except (FunctionNotFound, PayloadTooLarge, RecursionStopped) as error:
            log.error(told, what, shown, type(error).__name__, error, otherwise)  # noqa: TRY400
            return False
        except Exception as error:
            delay = policy.delay(attempt)
            again = f"trying again in {delay:.1f} s"
            log.warning(told, what, shown, type(error).__name__, error, again)
            await clock.wait(anyio.Event(), clock.monotonic() + delay)
        else:
            return True
    raise AssertionError
