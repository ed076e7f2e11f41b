from __future__ import annotations

import json

import anyio
import pytest
from fnframe import App

pytestmark = pytest.mark.anyio


def an_app():
    app = App("test")

    @app.function()
    async def slow(event: float) -> None:
        await anyio.sleep(event)

    return app


async def test_slow_invocations_are_written(app_client, tmp_path):
    file = tmp_path / "slow.jsonl"
    client = await app_client(an_app(), sample={"milliseconds": 20, "file": str(file)})
    await client.invoke("slow", 0)
    await client.invoke("slow", 0.03)
    assert client.running.sample.count == 1
    (line,) = map(json.loads, file.read_text().splitlines())
    assert line["function"] == "slow"
    assert line["duration_ms"] >= 20


async def test_a_wrong_setting_is_named(app_client):
    with pytest.raises(Exception, match=r"sample.milliseconds: expected `float`, found 'many'"):
        await app_client(an_app(), sample={"milliseconds": "many"})
