"""What an obligation of a trigger is."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from ...outcome import InvocationType
from ...runtime.triggers import only
from .world import World

if TYPE_CHECKING:
    from ...trigger import Trigger

Cause = Callable[[World], Awaitable[object]]
KINDS: tuple[InvocationType, ...] = ("synchronous", "asynchronous", "polled")

LIMIT = 30.0
"""Seconds of real time that one obligation may take."""


class Obligation:
    """One promise, checked by a function whose name says what and whose docstring says why."""

    def __init__(
        self, check: Callable[[World], Awaitable[None]], kinds: tuple[InvocationType, ...], queue_bound: int
    ) -> None:
        self.name = getattr(check, "__name__", repr(check))
        self.why = inspect.cleandoc(check.__doc__ or "")
        self.kinds = kinds
        """Of `Trigger.invocation_type`, those that it holds for."""
        self._check = check
        self._queue_bound = queue_bound

    def __str__(self) -> str:
        return self.name

    async def check(self, trigger: Trigger, cause: Cause, settings: msgspec.Struct | None = None) -> None:
        """Check it in a world of its own. Raises `ObligationBroken`, or what the trigger raised, with a note."""
        with tempfile.TemporaryDirectory(prefix="fnframe-") as directory:
            world = World(trigger, cause, Path(directory), self._queue_bound, settings)
            try:
                with anyio.fail_after(LIMIT):
                    await self._check(world)
            except Exception as group:
                error = only(group)
                error.add_note(f"obligation {self.name}:\n{self.why}")
                raise error from error.__cause__


OBLIGATIONS: list[Obligation] = []


def obligation(
    *kinds: InvocationType, queue_bound: int = 1000
) -> Callable[[Callable[[World], Awaitable[None]]], Obligation]:
    """Add a function to the obligations of these kinds of triggers, by default of all."""

    def add(check: Callable[[World], Awaitable[None]]) -> Obligation:
        made = Obligation(check, kinds or KINDS, queue_bound)
        OBLIGATIONS.append(made)
        return made

    return add
