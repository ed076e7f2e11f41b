"""What an obligation of an engine is, and the world in which it is checked."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ...clock import SystemClock
from ...engine.protocol import EngineOptions, Message
from ..clock import ManualClock
from ..obligation import Obligation, ObligationBroken, require, until

if TYPE_CHECKING:
    from ...engine.protocol import Engine, Lease, Queue

__all__ = (
    "OBLIGATIONS", "EngineObligation", "MakeEngine", "ObligationBroken", "World", "ids", "obligation", "put", "require",
    "until",
)  # fmt: skip

MakeEngine = Callable[[EngineOptions], "Engine"]
Need = Literal["durable", "shared", "virtual time"]

LIMIT = 60.0
"""Seconds of real time that one obligation may take."""


class EngineObligation(Obligation):
    """One promise of the protocol. `needs` are what an engine must be for it: `durable` or `shared`, or one that takes
    the clock it is given."""

    def __init__(self, check: Callable[[World], Awaitable[None]], needs: frozenset[Need], **options: Any) -> None:
        super().__init__(check, needs)
        self._options = options

    async def check(self, make_engine: MakeEngine, *, virtual_time: bool = True) -> None:
        """Check it with engines of its own. Raises `ObligationBroken`, or what the engine raised, with a note."""
        with tempfile.TemporaryDirectory(prefix="fnframe-") as directory:
            await self.check_in(World(make_engine, Path(directory), virtual_time, self._options), LIMIT)


class World:
    """An empty engine, other handles on the same place, and the time."""

    engine: Engine

    def __init__(self, make_engine: MakeEngine, directory: Path, virtual_time: bool, options: dict[str, Any]) -> None:
        self._make_engine = make_engine
        self._manual = ManualClock() if virtual_time else None
        self.clock = self._manual or SystemClock()
        self._options = EngineOptions(directory=directory, clock=self.clock, **options)
        self._stack = AsyncExitStack()
        self.lease = 30.0 if virtual_time else 0.6
        """Seconds for which something is lent."""
        self.delay = 5.0 if virtual_time else 0.1
        """Seconds, much shorter than a lease."""
        self._patience = 0.0 if virtual_time else 0.2

    async def __aenter__(self) -> World:
        self.engine = await self.another()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()

    async def another(self) -> Engine:
        """Another engine on the same place, as another process has it."""
        return await self._stack.enter_async_context(self._make_engine(self._options))

    async def reopen(self) -> Engine:
        """End all engines and begin with another one on the same place."""
        await self._stack.aclose()
        self.engine = await self.another()
        return self.engine

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass."""
        if self._manual is None:
            await anyio.sleep(seconds)
        else:
            self._manual.advance(seconds)

    def set_clock(self, seconds: float) -> None:
        """Let the clock show another time from now on, as somebody does who corrects it; no time passes."""
        assert self._manual is not None
        self._manual.step(seconds)

    async def received(self, queue: Queue, most: int = 100) -> Sequence[Lease]:
        """What can be had now."""
        return await queue.receive(most, self.lease, wait=self._patience)

    async def one(self, queue: Queue) -> Lease:
        """The next message, which must be there."""
        leases = await self.received(queue, 1)
        require(len(leases), 1, "messages that can be had")
        return leases[0]


OBLIGATIONS: list[EngineObligation] = []


def obligation(*needs: Need, **options: Any) -> Callable[[Callable[[World], Awaitable[None]]], EngineObligation]:
    """Add a function to the obligations; `options` are those of its engines."""

    def add(check: Callable[[World], Awaitable[None]]) -> EngineObligation:
        made = EngineObligation(check, frozenset(needs), **options)
        OBLIGATIONS.append(made)
        return made

    return add


async def put(queue: Queue, *names: str, group: str | None = None, delay: float = 0.0) -> list[bool]:
    """Send a message for each name, which is its id and its body, in one step."""
    return await queue.send([Message(name, name.encode(), group) for name in names], delay=delay)


def ids(leases: Sequence[Lease]) -> list[str]:
    return [lease.message.id for lease in leases]
