"""What an obligation is: one promise of a contract, with a check, and a reason."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import anyio

LIMIT = 60.0
"""Seconds of real time that one obligation may take."""

Kept = TypeVar("Kept", bound="Obligation")


class ObligationBroken(AssertionError):
    """What was checked does not do what its contract promises; the text says what, and why it matters."""


class Obligation:
    """One promise of a contract, checked by a function whose name says what and whose docstring says why.

    `needs` are what must be there for it, or what the thing that is checked must be.
    """

    def __init__(self, check: Callable[[Any], Awaitable[None]], needs: frozenset[str]) -> None:
        self.name = getattr(check, "__name__", repr(check))
        self.why = inspect.cleandoc(check.__doc__ or "")
        self.needs = needs
        self._check = check

    def __str__(self) -> str:
        return self.name

    async def check_in(self, world: AbstractAsyncContextManager[Any], limit: float = LIMIT) -> None:
        """Check it in this world. Raises `ObligationBroken`, or what was raised by what is checked, with a note."""
        try:
            with anyio.fail_after(limit):
                async with world as inside:
                    await self._check(inside)
        except Exception as error:
            error.add_note(f"obligation {self.name}:\n{self.why}")
            raise


def require(found: object, expected: object, what: str) -> None:
    """Raise `ObligationBroken` where the two differ."""
    if found != expected:
        raise ObligationBroken(f"{what}: expected {expected!r}, found {found!r}")


async def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait for a fact. Raises `ObligationBroken` when it does not come."""
    with anyio.move_on_after(seconds):
        while not condition():  # noqa: ASYNC110  what is waited for is the doing of what is checked
            await anyio.sleep(0.001)
        return
    raise ObligationBroken(f"{what}: it never came")


async def check_all(obligations: Iterable[Kept], check: Callable[[Kept], Awaitable[None]]) -> list[str]:
    """Check all of them and return their names. Raises `ObligationBroken` that lists all that are broken."""
    checked, broken = [], []
    for obligation in obligations:
        checked.append(obligation.name)
        try:
            await check(obligation)
        except Exception as error:
            broken.append(f"{obligation.name}: {_told(error)}\n  {obligation.why}")
    if broken:
        raise ObligationBroken(f"{len(broken)} of {len(checked)} obligations are broken:\n\n" + "\n\n".join(broken))
    return checked


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
