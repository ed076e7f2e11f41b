from __future__ import annotations

import anyio
import pytest
from fnframe import App, ConfigurationError
from fnframe.testing import TriggerCase, trigger_obligations
from fnframe_sample import Sample

pytestmark = pytest.mark.anyio


def sample(world):
    """The trigger, and how the outside makes its events: the kit checks what fnframe's own triggers keep."""
    answers = []

    async def happen(number):
        answers.append(await send(world.started, f"line {number}"))

    return TriggerCase(Sample(port=0), happen, lambda: answers.count(b"ok\n"))


async def send(address, line):
    host, _, port = address.partition(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(f"{line}\n".encode())
        return await stream.receive()


@pytest.mark.parametrize("obligation", trigger_obligations(sample), ids=str)
async def test_obligations(obligation):
    await obligation.check(sample)


async def test_the_function_gets_the_text(app_client):
    app, seen = App("test"), []

    @app.function(Sample(port=0))
    async def note(text: str) -> None:
        seen.append(text)

    client = await app_client(app)
    ((_, address),) = client.running.started
    for _ in range(2):
        assert await send(address, "hello") == b"ok\n"
    await client.drained()
    assert seen == ["hello", "hello"]


def test_what_is_no_port_is_refused_where_it_is_written():
    with pytest.raises(ConfigurationError, match="port must be a number from 0 to 65535, found 70000"):
        Sample(port=70000)


async def test_a_port_in_use_is_told_where_the_trigger_is_written(app_client):
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as taken:
        port = taken.extra(anyio.abc.SocketAttribute.local_port)
        app = App("test")

        @app.function(Sample(port=port))
        async def note(text: str) -> None: ...

        with pytest.raises(ConfigurationError, match=rf"test_sample.py:\d+: Sample: cannot listen on port {port}"):
            await app_client(app)
