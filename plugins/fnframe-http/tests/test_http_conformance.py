"""The trigger keeps the obligations of triggers, both ways to invoke."""

from __future__ import annotations

import re

import httpx2
import pytest
from fnframe_http import Http

from fnframe.testing import TriggerCase, trigger_obligations

pytestmark = pytest.mark.anyio


def http(invocation):
    def make(world):
        answers = []

        async def happen(number):
            url = re.search(r"http://\S+", world.started)[0]
            async with httpx2.AsyncClient(trust_env=False, timeout=20) as client:
                answers.append(await client.post(url, json={"number": number}))

        def acknowledged():
            return sum(answer.is_success for answer in answers)

        return TriggerCase(Http("POST /orders", invocation), happen, acknowledged, settings={"port": 0})

    return make


@pytest.mark.parametrize("obligation", trigger_obligations(http("sync")), ids=str)
async def test_requests_that_wait(obligation):
    await obligation.check(http("sync"))


@pytest.mark.parametrize("obligation", trigger_obligations(http("async")), ids=str)
async def test_requests_that_do_not_wait(obligation):
    await obligation.check(http("async"))
