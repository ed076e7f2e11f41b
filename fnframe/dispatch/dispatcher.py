"""What happens to an event: admission, an environment, a report."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from ..environment.invocation import Deliver, Invocation
from ..errors import FunctionNotFound
from ..event import Event
from ..function import Function, Manifest
from ..outcome import REFUSED, REQUEST_TOO_LARGE, THROTTLED, Failure, InvocationType, MemoryMethod, Outcome, Report
from ..tenant import Headers, tenant_reader
from .admission import Share, Shares
from .verdict import Judge

if TYPE_CHECKING:
    from ..hookspecs import Refusal

Observer = Callable[..., None] | None
Gate = Callable[..., "Refusal | None"] | None
Hold = Callable[[Report], Awaitable[None]] | None


class Environments(Protocol):
    """Where functions run: the pool of processes, or the host's own event loop."""

    memory_method: MemoryMethod

    async def exchange(self, invocation: Invocation, deliver: Deliver) -> None:
        """Run the invocation: afterwards `invocation.reply` is there."""


class Served:
    """A function, its share of the concurrency, where it runs, and what finds an event's tenant, if it declares one."""

    __slots__ = ("environments", "function", "share", "tenant")

    def __init__(self, function: Function, share: Share, environments: Environments, header_of: Headers) -> None:
        self.function = function
        self.share = share
        self.environments = environments
        self.tenant = None if function.tenant is None else tenant_reader(function.tenant, header_of)


class Dispatcher:
    """Runs invocations and reports each of them, whatever came of it.

    `deliver` hands over what a handler sends from inside, `header_of` reads what came beside an event's data.
    """

    def __init__(self, judge: Judge, deliver: Deliver, header_of: Headers) -> None:
        self._judge = judge
        self._deliver = deliver
        self._header_of = header_of
        self._served: dict[str, Served] = {}
        self._shares = Shares()
        # The plugins' hooks, None where nobody listens.
        self.admit: Gate = None
        self.started: Observer = None
        self.reported: Observer = None
        self.hold: Hold = None

    def serve(self, manifest: Manifest, environments: Callable[[Function], Environments]) -> None:
        """Serve the functions of this manifest from now on."""
        self.limits = manifest.limits
        by_name = self._shares.divide(manifest.functions, manifest.limits)
        self._served = {
            function.name: Served(function, by_name[function.name], environments(function), self._header_of)
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
        outcome = self._judge.outcome(invocation, served.environments.memory_method)
        if self.reported is not None:
            self.reported(outcome.report, outcome)
        if self.hold is not None and invocation_type == "synchronous":
            await self.hold(outcome.report)
        return outcome

    def failure(
        self, function: Function, event: Event, request_id: str, error_type: str, problem: str, *, trigger: str,
        invocation_type: InvocationType, attempt: int,
    ) -> Failure:  # fmt: skip
        """The failure of an event that no attempt tells of: nothing was measured, and nothing is reported."""
        invocation = Invocation(function, event, request_id, trigger, invocation_type, attempt)
        return self._judge.rejected(invocation, error_type, problem)

    def invoke_blocking(
        self, name: str, event: Event, request_id: str, exchange: Callable[[Invocation], None]
    ) -> Outcome:
        """The same from a thread of the caller's own, which runs the exchange itself, and holds the outcome back."""
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
        if served.tenant is not None:
            invocation.tenant = served.tenant(invocation.event, invocation.trigger)
        limit = self.limits.request_payload
        if len(invocation.event.data) > limit:
            text = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            return self._report(self._judge.rejected(invocation, REQUEST_TOO_LARGE, text))
        if not served.share.enter():
            text = f"Rate Exceeded. ({served.share.reason}: {served.share.cap})"
            return self._report(self._judge.rejected(invocation, THROTTLED, text, retry_after=1.0))
        if self.admit is not None and (refusal := self._ask(invocation)) is not None:
            served.share.leave()
            return self._report(refusal)
        if self.started is not None:
            self.started(
                invocation.request_id,
                invocation.function,
                invocation.event,
                invocation.invocation_type,
                invocation.attempt,
            )
        return None

    def _ask(self, invocation: Invocation) -> Outcome | None:
        """Ask the plugins whether the invocation may begin."""
        assert self.admit is not None
        refusal = self.admit(
            invocation.function, invocation.event, invocation.invocation_type, invocation.attempt, invocation.tenant
        )
        if refusal is None:
            return None
        error_type = REFUSED if refusal.retry_after is None else THROTTLED
        return self._judge.rejected(invocation, error_type, refusal.reason, retry_after=refusal.retry_after)

    def _finish(self, served: Served, invocation: Invocation) -> Outcome:
        return self._report(self._judge.outcome(invocation, served.environments.memory_method))

    def _report(self, outcome: Outcome) -> Outcome:
        if self.reported is not None:
            self.reported(outcome.report, outcome)
        return outcome
