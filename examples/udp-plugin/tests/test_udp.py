from __future__ import annotations

import socket

import pytest
from fnframe_udp import Udp

from fnframe import App, ConfigurationError
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


async def test_a_port_in_use_is_told_where_the_trigger_is_written(app_client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        app = App("test")

        @app.function(Udp(port=port))
        async def note(data: dict) -> None: ...

        with pytest.raises(ConfigurationError, match=rf"test_udp.py:\d+: Udp: cannot listen on port {port}"):
            await app_client(app)
