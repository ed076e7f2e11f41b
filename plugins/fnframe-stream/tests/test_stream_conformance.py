"""The trigger keeps the obligations of triggers."""

from __future__ import annotations

import pytest
from fnframe_stream import Stream

from fnframe.testing import TriggerCase, trigger_obligations

pytestmark = pytest.mark.anyio


def stream(world):
    async def happen(number):
        await world.client.publish("clicks", {"number": number}, key=str(number))

    return TriggerCase(Stream("clicks", batch_size=1), happen)


@pytest.mark.parametrize("obligation", trigger_obligations(stream), ids=str)
async def test_stream(obligation):
    await obligation.check(stream)
