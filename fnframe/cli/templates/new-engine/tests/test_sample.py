from __future__ import annotations

import pytest
from fnframe import App, ConfigurationError
from fnframe.testing import engine_obligations
from fnframe_sample.plugin import sample_engine

pytestmark = pytest.mark.anyio

app = App("test")


@app.function(isolation="inline")
async def echo(event: str) -> str:
    return event


# When it keeps what it accepted: durable=True. When several processes may share it: shared=True.
OBLIGATIONS = engine_obligations(durable=False, shared=False)


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=str)
async def test_obligations(obligation):
    await obligation.check(lambda options: sample_engine("sample:", options))


async def test_an_app_uses_it():
    async with app.run(engine="sample:") as running:
        await running.enqueue("echo", "hello")
        await running.drained()


def test_what_is_no_url_of_it_is_refused():
    with pytest.raises(ConfigurationError, match="this engine has the URL 'sample:', found 'sample:x'"):
        sample_engine("sample:x", None)
