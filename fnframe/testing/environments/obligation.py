"""What an obligation of an execution environment is, and the world in which it is checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..client import AppClient, open_client
from ..leftovers import children
from ..obligation import Obligation

if TYPE_CHECKING:
    from ...app import App

LIMIT = 40.0
"""Seconds of real time that one obligation may take."""


class EnvironmentCase(NamedTuple):
    """An app, or its target, and the names of functions in it, each with a part; a part that is None is not checked.

    `echo` returns the data it got. `fails` raises, or fails in whatever way its runtime has, with the data it got, a
    text, in the message. `hangs` does not return within its `timeout`, which should be short. `grows` uses more than
    its `memory`. `exits` ends its process with the status 3. `speaks` writes the data it got, a text, to standard
    output. `plugins` are registered for the run: the provider's, where it is not installed.
    """

    app: App | str
    echo: str
    fails: str
    hangs: str
    grows: str | None = None
    exits: str | None = None
    speaks: str | None = None
    plugins: Sequence[object] = ()


class EnvironmentObligation(Obligation):
    """One promise of the contract of environments. `needs` are the parts of a case without which it is not checked."""

    async def check(self, case: EnvironmentCase) -> None:
        """Check it in a run of its own. Raises `ObligationBroken`, or what was raised, with a note."""
        await self.check_in(World(case), LIMIT)


class World:
    """The app, running in environments of its own; in the client are its reports."""

    client: AppClient

    def __init__(self, case: EnvironmentCase) -> None:
        self.case = case
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.children = children()
        opened = open_client(self.case.app, environments=True, triggers=[], plugins=self.case.plugins)
        self.client = await self._stack.enter_async_context(opened)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)

    async def close(self) -> None:
        """End the app."""
        await self._stack.aclose()

    async def works(self) -> None:
        """The next invocation works: what went before did no harm."""
        outcome = await self.client.invoke(self.case.echo, {"and": "so on"})
        assert outcome.unwrap() == {"and": "so on"}


OBLIGATIONS: list[EnvironmentObligation] = []


def obligation(*needs: str) -> Callable[[Callable[[World], Awaitable[None]]], EnvironmentObligation]:
    """Add a function to the obligations."""

    def add(check: Callable[[World], Awaitable[None]]) -> EnvironmentObligation:
        made = EnvironmentObligation(check, frozenset(needs))
        OBLIGATIONS.append(made)
        return made

    return add
