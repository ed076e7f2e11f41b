"""The trigger keeps the obligations of triggers."""

from __future__ import annotations

import pytest
from fnframe_cron import Cron

from fnframe.testing import TriggerCase, trigger_obligations

pytestmark = pytest.mark.anyio


def cron(world):
    async def happen(number):
        await world.client.at_rest()
        world.clock.turn_to(world.clock.time() // 60 * 60 + 60)
        await world.client.at_rest()

    return TriggerCase(Cron("* * * * *"), happen)


@pytest.mark.parametrize("obligation", trigger_obligations(cron), ids=str)
async def test_cron(obligation):
    await obligation.check(cron)
