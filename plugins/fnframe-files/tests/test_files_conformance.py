"""The trigger keeps every obligation of one."""

from __future__ import annotations

import pytest
from fnframe_files import Files

from fnframe.testing.triggers import trigger_obligations

pytestmark = pytest.mark.anyio

UPLOADS = Files("uploads")


async def put(world):
    (world.directory / "uploads" / f"{world.count()}.txt").write_text("content")


@pytest.mark.parametrize("obligation", trigger_obligations(UPLOADS), ids=str)
async def test_obligation(obligation):
    await obligation.check(UPLOADS, put)
