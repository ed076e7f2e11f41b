"""A function that a queue or a stream feeds: how it runs, and what observers hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FunctionNotFound
from ..event import Event, new_id
from ..outcome import Failure, Outcome
from ..trigger import kind_of

if TYPE_CHECKING:
    from ..function import Function
    from ..trigger import Mapping
    from .dispatcher import Dispatcher, Observer
    from .retry import RetryPolicy

UNSERVED = 1.0
"""Seconds until something is looked at again whose function a reload took away just now."""

LATE = 16
"""The attempt after which a pause is as long as it ever is."""


class PolledFunction:
    """`source` names the queue or stream in events and logs."""

    def __init__(self, mapping: Mapping, source: str, dispatcher: Dispatcher, settled: Observer) -> None:
        self.kind = kind_of(mapping.trigger)
        self.source = f"{self.kind}:{source}"
        self._configuration = mapping.function
        self.name = self._configuration.name
        self._dispatcher = dispatcher
        self._settled = settled

    @property
    def configuration(self) -> Function:
        """The function's, as it is now; as it was last, where a reload has just taken it away."""
        if self._dispatcher.serves(self.name):
            self._configuration = self._dispatcher.function(self.name)
        return self._configuration

    @property
    def largest(self) -> int:
        """Bytes that an event may have."""
        return self._dispatcher.limits.request_payload

    async def invoke(self, event: Event, attempt: int) -> Outcome | None:
        """Run it once; None if a reload took it away just now."""
        try:
            return await self._dispatcher.invoke(
                self.name, event, new_id(), trigger=self.kind, invocation_type="polled", attempt=attempt
            )
        except FunctionNotFound:
            return None

    def throttled_for(self, failure: Failure, policy: RetryPolicy) -> float:
        """Seconds until what was throttled is tried again: the longest where a reservation of 0 switched it off."""
        attempt = LATE if self.configuration.reserved_concurrency == 0 else 1
        return max(policy.delay(attempt), failure.retry_after or 0.0)

    def failure(self, event: Event, error_type: str, problem: str, attempt: int) -> Failure:
        """The failure of an event, or part of one, that no outcome tells of."""
        return self._dispatcher.failure(
            self.configuration, event, new_id(), error_type, problem, trigger=self.kind, invocation_type="polled",
            attempt=attempt,
        )  # fmt: skip

    def tell(self, event: Event, outcome: Outcome, attempts: int, destination: str | None = None) -> None:
        """Tell observers of what reached its end."""
        if self._settled is not None:
            self._settled(self.configuration, event, outcome, attempts, destination)
