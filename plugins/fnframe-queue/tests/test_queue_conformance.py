"""The trigger keeps every obligation of one."""

from __future__ import annotations

import pytest
from fnframe_queue import Queue

from fnframe.engine.protocol import Message
from fnframe.testing.triggers import trigger_obligations

pytestmark = pytest.mark.anyio

ORDERS = Queue("orders", batch_size=1)


async def send(world):
    await world.engine.queue("orders").send([Message(f"m{world.count()}", b"{}")])


@pytest.mark.parametrize("obligation", trigger_obligations(ORDERS), ids=str)
async def test_obligation(obligation):
    await obligation.check(ORDERS, send)
