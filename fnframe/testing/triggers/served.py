"""A trigger that is served, in a task that can be given up."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import anyio

from ...trigger import Trigger
from ..obligation import ObligationBroken
from .abandon import Abandoned, abandonable

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ...runtime.mapping import BoundMapping

READY = 10.0
"""Seconds in which a trigger must be ready."""
END = 5.0
"""Seconds in which one that is cancelled must have ended."""


class Served:
    """One run of a trigger: `begin`, then `end`, then `check`."""

    def __init__(self, mapping: BoundMapping) -> None:
        self._mapping = mapping
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._late = False
        self._returned = False
        self._is_one_of_many = "run_all" in {name for type_ in _own(type(mapping.trigger)) for name in vars(type_)}

    async def begin(self, tasks: TaskGroup) -> str:
        """Run it, and return what it says when it is ready. Raises `ObligationBroken` where it never is."""
        with anyio.move_on_after(READY):
            texts = await tasks.start(self._run)
            if not self._is_one_of_many:
                return texts  # type: ignore[no-any-return]
            if not isinstance(texts, (list, tuple)) or len(texts) != 1:
                raise ObligationBroken(
                    f"`run_all` must call `task_status.started()` with one text for each mapping, found {texts!r}"
                )
            return texts[0]  # type: ignore[no-any-return]
        raise ObligationBroken(
            f"`task_status.started()` was not called within {READY:g} s: `run` must call it once it is ready, and the "
            "app waits for it"
        )

    async def end(self) -> None:
        """Cancel it, and give it up where it does not end."""
        with anyio.CancelScope(shield=True):
            self._scope.cancel()
            with anyio.move_on_after(END):
                await self._ended.wait()
            self._late = not self._ended.is_set()
            await self._ended.wait()

    def check(self) -> None:
        """Raises `ObligationBroken` where it ended by itself, or had to be given up."""
        if self._returned:
            raise ObligationBroken(
                "`run` returned by itself: it feeds events until it is cancelled, and raises where it cannot go on"
            )
        if self._late:
            raise ObligationBroken(
                f"it had not ended {END:g} s after it was cancelled: it catches that somewhere and goes on. "
                "Let what `anyio.get_cancelled_exc_class()` names pass, and tidy up in `finally`"
            )

    async def _run(self, *, task_status: Any) -> None:
        try:
            with self._scope:
                await abandonable(self._serve(task_status), lambda: self._late)
                self._returned = not self._scope.cancel_called
        except (Abandoned, RuntimeError):
            # Scopes that it had entered are left open: both event loops may complain of that.
            if not self._late:
                raise
        finally:
            self._ended.set()

    def _serve(self, task_status: Any) -> Coroutine[Any, Any, None]:
        # What `run_all` does by default would put `run` into a task of its own, which could not be given up.
        trigger = self._mapping.trigger
        if self._is_one_of_many:
            return type(trigger).run_all([self._mapping], task_status=task_status)
        return trigger.run(self._mapping, task_status=task_status)


def _own(type_: type[Trigger]) -> list[type]:
    """The class and those of its bases that are not fnframe's."""
    return list(type_.__mro__[: type_.__mro__.index(Trigger)])
