"""The trigger keeps every obligation of one."""

from __future__ import annotations

import httpx2
import pytest
from fnframe_http import Http
from fnframe_http.trigger import HttpSettings

from fnframe.testing.triggers import trigger_obligations

pytestmark = pytest.mark.anyio

SETTINGS = HttpSettings(port=0)
SYNC, ASYNC = Http("POST /orders"), Http("POST /orders", invocation="async")


async def post(world):
    _, address, *_ = world.told.split()
    async with httpx2.AsyncClient(trust_env=False) as client:
        (await client.post(address, json={})).raise_for_status()


@pytest.mark.parametrize(
    ("trigger", "obligation"),
    [(each, obligation) for each in (SYNC, ASYNC) for obligation in trigger_obligations(each)],
    ids=str,
)
async def test_obligation(trigger, obligation):
    await obligation.check(trigger, post, SETTINGS)
