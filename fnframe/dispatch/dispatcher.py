"""What happens to an event: admission, an environment, a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..environment.invocation import Deliver, Invocation
from ..errors import FunctionNotFound
from ..event import Event
from ..function import Function, Manifest
from ..outcome import REQUEST_TOO_LARGE, THROTTLED, Failure, InvocationType, MemoryMethod, Outcome
from .admission import Share, shares
from .verdict import Judge

Observer = Callable[..., None] | None


class Environments(Protocol):
    """Where functions run: the pool of processes, or the host's own event loop."""

    memory_method: MemoryMethod

    async def exchange(self, invocation: Invocation, deliver: Deliver) -> None:
        """Run the invocation: afterwards `invocation.reply` is there."""


class Served:
    """A function, its share of the concurrency, and where it runs."""

    __slots__ = ("environments", "function", "share")

    def __init__(self, function: Function, share: Share, environments: Environments) -> None:
        self.function = function
        self.share = share
        self.environments = environments


class Dispatcher:
    """Runs invocations and reports each of them, whatever came of it.

    `deliver` hands over what a handler sends from inside; `started` and `reported` are the observers' hooks, None
    where nobody listens.
    """

    def __init__(self, judge: Judge, deliver: Deliver, started: Observer, reported: Observer) -> None:
        self._judge = judge
        self._deliver = deliver
        self._started = started
        self._reported = reported
        self._served: dict[str, Served] = {}

    def serve(self, manifest: Manifest, environments: Callable[[Function], Environments]) -> None:
        """Serve the functions of this manifest from now on."""
        self.limits = manifest.limits
        by_name = shares(manifest.functions, manifest.limits)
        self._served = {
            function.name: Served(function, by_name[function.name], environments(function))
            for function in manifest.functions
        }

    def serves(self, name: str) -> bool:
        """Whether there is a function of this name."""
        return name in self._served

    def function(self, name: str) -> Function:
        """The configuration of a function. Raises `FunctionNotFound`."""
        return self._find(name).function

    async def invoke(
        self,
        name: str,
        event: Event,
        request_id: str,
        *,
        trigger: str = "direct",
        invocation_type: InvocationType = "synchronous",
        attempt: int = 1,
    ) -> Outcome:
        """Run a function once and wait for what comes of it. Raises `FunctionNotFound`.

        Cancelled, it ends the invocation, which is reported as soon as it is known what it used.
        """
        served = self._served.get(name) or self._find(name)
        invocation = Invocation(served.function, event, request_id, trigger, invocation_type, attempt)
        refused = self._admit(served, invocation)
        if refused is not None:
            return refused
        try:
            await served.environments.exchange(invocation, self._deliver)
        except BaseException:
            invocation.then(lambda: self._finish(served, invocation))
            raise
        finally:
            served.share.leave()
        return self._finish(served, invocation)

    def failure(
        self, name: str, event: Event, request_id: str, error_type: str, problem: str, *, trigger: str,
        invocation_type: InvocationType, attempt: int,
    ) -> Failure:  # fmt: skip
        """The failure of an event that no attempt tells of: nothing was measured, and nothing is reported."""
        invocation = Invocation(self._find(name).function, event, request_id, trigger, invocation_type, attempt)
        return self._judge.rejected(invocation, error_type, problem)

    def invoke_blocking(
        self, name: str, event: Event, request_id: str, exchange: Callable[[Invocation], None]
    ) -> Outcome:
        """The same from a thread of the caller's own, which runs the exchange itself."""
        served = self._find(name)
        invocation = Invocation(served.function, event, request_id)
        refused = self._admit(served, invocation)
        if refused is not None:
            return refused
        try:
            exchange(invocation)
        except BaseException:
            invocation.then(lambda: self._finish(served, invocation))
            raise
        finally:
            served.share.leave()
        return self._finish(served, invocation)

    def _find(self, name: str) -> Served:
        try:
            return self._served[name]
        except KeyError:
            raise FunctionNotFound(name, self._served) from None

    def _admit(self, served: Served, invocation: Invocation) -> Outcome | None:
        """Let the invocation in, or say why not."""
        limit = self.limits.request_payload
        if len(invocation.event.data) > limit:
            text = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            return self._report(self._judge.rejected(invocation, REQUEST_TOO_LARGE, text))
        if not served.share.enter():
            text = f"Rate Exceeded. ({served.share.reason}: {served.share.cap})"
            return self._report(self._judge.rejected(invocation, THROTTLED, text, retry_after=1.0))
        if self._started is not None:
            self._started(
                invocation.request_id,
                invocation.function,
                invocation.event,
                invocation.invocation_type,
                invocation.attempt,
            )
        return None

    def _finish(self, served: Served, invocation: Invocation) -> Outcome:
        return self._report(self._judge.outcome(invocation, served.environments.memory_method))

    def _report(self, outcome: Outcome) -> Outcome:
        if self._reported is not None:
            self._reported(outcome.report, outcome)
        return outcome
