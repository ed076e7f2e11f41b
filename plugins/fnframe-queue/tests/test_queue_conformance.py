"""The trigger keeps the obligations of triggers."""

from __future__ import annotations

import pytest
from fnframe_queue import Queue

from fnframe.testing import TriggerCase, trigger_obligations

pytestmark = pytest.mark.anyio


def queue(world):
    async def happen(number):
        await world.client.send("orders", {"number": number}, id=f"order {number}")

    return TriggerCase(Queue("orders", batch_size=1), happen, again=happen)


@pytest.mark.parametrize("obligation", trigger_obligations(queue), ids=str)
async def test_queue(obligation):
    await obligation.check(queue)
