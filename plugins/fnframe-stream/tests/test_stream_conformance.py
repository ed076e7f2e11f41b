"""The trigger keeps every obligation of one."""

from __future__ import annotations

import pytest
from fnframe_stream import Stream

from fnframe.engine.protocol import Record
from fnframe.testing.triggers import trigger_obligations

pytestmark = pytest.mark.anyio

CLICKS = Stream("clicks", batch_size=1)


async def publish(world):
    number = world.count()
    await world.engine.stream("clicks").publish([Record(f"k{number}", b"{}", f"r{number}")])


@pytest.mark.parametrize("obligation", trigger_obligations(CLICKS), ids=str)
async def test_obligation(obligation):
    await obligation.check(CLICKS, publish)
