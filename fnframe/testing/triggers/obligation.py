"""What an obligation of a trigger is, and the world in which it is checked: a running app of one function."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import anyio

from ...app import App
from ...event import Event
from ...trigger import Trigger, kind_of
from ..client import AppClient, open_client
from ..clock import ManualClock
from ..obligation import Obligation, ObligationBroken, until
from .served import Served

if TYPE_CHECKING:
    from ...runtime.mapping import BoundMapping

LIMIT = 40.0
"""Seconds of real time that one obligation may take."""
PATIENCE = 10.0
"""Seconds of real time for one thing to happen."""


class TriggerCase(NamedTuple):
    """A trigger, and how the outside world makes its events.

    `happen(number)` brings about one event, another one for each number, and returns when the outside has done its
    part, which may be to wait for an answer. `acknowledged()` tells how many events the outside believes to be done:
    requests that were answered, messages that a broker forgot; None where the outside never learns. `again(number)` has
    the outside tell once more of an event that it told of before, as after a crash. `settings` are those of the
    trigger's type, by name.
    """

    trigger: Trigger
    happen: Callable[[int], Awaitable[None]] | None = None
    acknowledged: Callable[[], int] | None = None
    again: Callable[[int], Awaitable[None]] | None = None
    settings: dict[str, Any] = {}  # noqa: RUF012  nobody writes to it


MakeCase = Callable[["World"], TriggerCase]


class TriggerObligation(Obligation):
    """One promise of the contract of triggers. `needs` are the parts of a case without which it cannot be checked."""

    async def check(self, make_case: MakeCase) -> None:
        """Check it with a trigger of its own. Raises `ObligationBroken`, or what the trigger raised, with a note."""
        with tempfile.TemporaryDirectory(prefix="fnframe-") as directory:
            await self.check_in(World(make_case, Path(directory)), LIMIT)


class World:
    """A running app of one function, `probe`, which notes its events, and the trigger, which is served on demand."""

    case: TriggerCase
    client: AppClient
    mapping: BoundMapping

    def __init__(self, make_case: MakeCase, directory: Path) -> None:
        self.directory = directory
        """A folder of its own, from which relative paths in the trigger count. Empty at first."""
        self.started = ""
        """What the trigger said when it was ready last."""
        self.events: list[Event] = []
        """What the function was given."""
        self.fails = False
        """Whether the function raises."""
        self.gate: anyio.Event | None = None
        """What the function waits for before it returns."""
        self._make_case = make_case
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.case = self._make_case(self)
        app = App("conformance")
        app.directory = self.directory
        app.function(self.case.trigger, name="probe", retries=0, timeout=60)(self._handler())
        kind = kind_of(self.case.trigger)
        settings: dict[str, Any] = {f"{kind}.{key}": value for key, value in self.case.settings.items()}
        self.client = await self._stack.enter_async_context(open_client(app, triggers=[], grace=0.0, **settings))
        (self.mapping,) = self.client.running.mappings(type(self.case.trigger))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)

    @property
    def clock(self) -> ManualClock:
        """The app's time, which stands still."""
        return self.client.clock

    def _handler(self) -> Callable[..., Any]:
        async def probe(event: Event) -> None:
            if self.gate is not None:
                await self.gate.wait()
            self.events.append(event)
            if self.fails:
                raise RuntimeError("the function fails, as the obligation asks")

        # The annotation as the type itself: this module's own are texts.
        probe.__annotations__["event"] = Event
        return probe

    @asynccontextmanager
    async def serving(self, mapping: BoundMapping | None = None) -> AsyncIterator[None]:
        """Serve the trigger as the running app does; leaving it cancels the trigger, and waits until it has ended."""
        served = Served(mapping or self.mapping)
        async with anyio.create_task_group() as tasks:
            self.started = await served.begin(tasks)
            try:
                yield
            finally:
                await served.end()
        served.check()

    async def happens(self, number: int) -> None:
        """Let one event happen outside."""
        assert self.case.happen is not None
        await self.case.happen(number)

    async def delivered(self, count: int) -> None:
        """Wait until the function was given so many events. Time goes on meanwhile, as far as somebody waits for it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._turn_clock)
            await until(lambda: len(self.events) >= count, f"{count} event(s) at the function", PATIENCE)
            tasks.cancel_scope.cancel()

    async def _turn_clock(self) -> None:
        while True:
            await anyio.sleep(0.002)
            moment = self.clock.next_moment()
            if moment is not None:
                self.clock.turn_to(moment)


OBLIGATIONS: list[TriggerObligation] = []


def obligation(*needs: str) -> Callable[[Callable[[World], Awaitable[None]]], TriggerObligation]:
    """Add a function to the obligations."""

    def add(check: Callable[[World], Awaitable[None]]) -> TriggerObligation:
        made = TriggerObligation(check, frozenset(needs))
        OBLIGATIONS.append(made)
        return made

    return add


def parts_of(make_case: MakeCase) -> frozenset[str]:
    """Which parts a case has beside its trigger."""
    with tempfile.TemporaryDirectory(prefix="fnframe-") as directory:
        case = make_case(World(make_case, Path(directory)))
    parts = {name for name in ("happen", "acknowledged", "again") if getattr(case, name) is not None}
    if not case.trigger.is_awaited():
        parts.add("accepted")
    return frozenset(parts)


__all__ = ("OBLIGATIONS", "MakeCase", "ObligationBroken", "TriggerCase", "TriggerObligation", "World", "obligation")
