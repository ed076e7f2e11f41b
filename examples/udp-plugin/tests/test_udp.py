from __future__ import annotations

import socket

import pytest
from fnframe_udp import Udp

from fnframe import App
from fnframe.testing import TriggerCase, trigger_obligations

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


def send(address, data):
    host, _, port = address.removeprefix("udp://").partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(data, (host, int(port)))


def udp(world):
    async def happen(number):
        send(world.started, str(number).encode())

    return TriggerCase(Udp(port=0), happen)


@pytest.mark.parametrize("obligation", trigger_obligations(udp), ids=str)
async def test_obligations(obligation):
    await obligation.check(udp)


async def test_a_datagram_reaches_its_function(app_client):
    app, seen = App("test"), []

    @app.function(Udp(port=0))
    async def note(data: dict) -> None:
        seen.append(data)

    client = await app_client(app)
    ((_, address),) = client.running.started
    send(address, b'{"level": "warning"}')
    send(address, b"no JSON")
    while len(client.heard.reports) < 2:
        await client.at_rest()
    assert seen == [{"level": "warning"}]
    assert client.heard.reports[1].outcome == "Runtime.UnmarshalError"
    await client.drained()
