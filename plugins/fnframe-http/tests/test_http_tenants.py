"""Whose a request is, and what a client is told whom a plugin does not let in."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from fnframe_http import Http

from fnframe import Event, hookimpl
from fnframe.event import now
from fnframe.hookspecs import Refusal
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio


class Gate:
    """Refuses one tenant for good, another for a while."""

    def __init__(self) -> None:
        self.tenants: list[str | None] = []

    @hookimpl
    def fnframe_admit(self, tenant: str | None) -> Refusal | None:
        self.tenants.append(tenant)
        if tenant == "stopped":
            return Refusal("this month is spent")
        return Refusal("this day is spent", 12.2) if tenant == "slow" else None


async def test_a_header_tells_the_tenant_who_may_be_refused(kit: Any) -> None:
    gate = Gate()
    target = str(kit.APPS / "tenants.py")
    async with run_target(target, settings={"http.port": 0}, plugins=[gate]) as running:
        async with httpx2.AsyncClient(base_url=kit.url_of(running), trust_env=False) as client:

            async def post(**headers: str) -> Any:
                return await client.post("/orders", headers={k.replace("_", "-"): v for k, v in headers.items()})

            assert (await post(x_tenant="acme")).status_code == 200
            assert (await post()).status_code == 200
            stopped = await post(X_TENANT="stopped")
            assert stopped.status_code == 503
            assert stopped.json()["errorMessage"] == "this month is spent"
            slow = await post(x_tenant="slow")
            assert (slow.status_code, slow.headers["retry-after"]) == (429, "13")
    assert gate.tenants == ["acme", None, "stopped", "slow"]


def test_an_event_that_no_request_made_has_the_header_as_an_extension() -> None:
    event = Event(id="1", source="", type="", time=now(), extensions={"x-tenant": "acme"})
    assert Http.header(event, "X-Tenant") == "acme"
    assert Http.header(event, "other") is None
