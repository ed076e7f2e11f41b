"""The conformance kit of triggers: what the contract asks of them, as named obligations, for whoever writes one.

A case is a trigger, and how the outside world makes its events:

    def udp(world):
        async def happen(number):
            send_datagram(world.started, f"{number}".encode())

        return TriggerCase(Udp(port=0), happen)


    @pytest.mark.anyio
    @pytest.mark.parametrize("obligation", trigger_obligations(udp), ids=str)
    async def test_udp(obligation):
        await obligation.check(udp)
"""

from __future__ import annotations

from ..obligation import check_all
from . import declared, delivering, running  # noqa: F401
from .obligation import OBLIGATIONS, MakeCase, TriggerCase, TriggerObligation, World, parts_of

__all__ = ("MakeCase", "TriggerCase", "TriggerObligation", "World", "check_trigger", "trigger_obligations")


def trigger_obligations(make_case: MakeCase) -> list[TriggerObligation]:
    """The obligations that can be checked with this case: all, or those that need no more than it has."""
    parts = parts_of(make_case)
    return [obligation for obligation in OBLIGATIONS if obligation.needs <= parts]


async def check_trigger(make_case: MakeCase) -> list[str]:
    """Check every obligation that can be checked with this case and return their names.

    Raises `ObligationBroken` that lists all that are broken, each with its reason.
    """
    return await check_all(trigger_obligations(make_case), lambda each: each.check(make_case))
