"""The trigger keeps every obligation of one."""

from __future__ import annotations

import pytest
from fnframe_cron import Cron

from fnframe.testing.triggers import trigger_obligations

pytestmark = pytest.mark.anyio

EVERY_MINUTE = Cron("* * * * *", misfire="all")


async def pass_a_minute(world):
    world.clock.advance(60.0)


@pytest.mark.parametrize("obligation", trigger_obligations(EVERY_MINUTE), ids=str)
async def test_obligation(obligation):
    await obligation.check(EVERY_MINUTE, pass_a_minute)
