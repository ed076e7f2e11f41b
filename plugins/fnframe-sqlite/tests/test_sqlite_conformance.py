"""The engine `sqlite:` keeps every obligation of a durable and shared engine."""

from __future__ import annotations

import pytest
from fnframe_sqlite import SqliteEngine

from fnframe.testing.engines import engine_obligations

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("obligation", engine_obligations(durable=True, shared=True), ids=str)
async def test_obligation(obligation):
    await obligation.check(lambda options: SqliteEngine("sqlite:///engine.db", options))
