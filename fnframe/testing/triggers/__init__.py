"""The conformance suite of triggers: what every trigger owes its users, as named obligations, for whoever writes one.

`cause` makes one thing happen outside that the trigger is to tell of. With pytest:

    async def drop(world):
        (world.directory / "inbox" / f"{world.count()}.txt").write_text("x")

    @pytest.mark.anyio
    @pytest.mark.parametrize("obligation", trigger_obligations(Inbox("inbox")), ids=str)
    async def test_my_trigger(obligation):
        await obligation.check(Inbox("inbox"), drop)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..engines.obligation import ObligationBroken
from . import declared, delivered  # noqa: F401
from .obligation import OBLIGATIONS, Cause, Obligation
from .world import World

if TYPE_CHECKING:
    from ...trigger import Trigger

__all__ = ["Cause", "Obligation", "ObligationBroken", "World", "check_trigger", "trigger_obligations"]


def trigger_obligations(trigger: Trigger) -> list[Obligation]:
    """The obligations of a trigger, by how its events come in: somebody outside hears what becomes of them, nobody
    does, or it polls."""
    return [obligation for obligation in OBLIGATIONS if trigger.invocation_type in obligation.kinds]


async def check_trigger(trigger: Trigger, cause: Cause, settings: msgspec.Struct | None = None) -> list[str]:
    """Check every obligation that holds for this trigger and return their names.

    `settings` are those of the trigger's type, by default what its `Settings` has without any. Raises
    `ObligationBroken` that lists all that are broken.
    """
    checked, broken = [], []
    for obligation in trigger_obligations(trigger):
        checked.append(obligation.name)
        try:
            await obligation.check(trigger, cause, settings)
        except Exception as error:
            broken.append(f"{obligation.name}: {type(error).__name__}: {error}\n  {obligation.why}")
    if broken:
        raise ObligationBroken(f"{len(broken)} of {len(checked)} obligations are broken:\n\n" + "\n\n".join(broken))
    return checked
