"""The trigger keeps the obligations of triggers."""

from __future__ import annotations

import pytest
from fnframe_files import Files

from fnframe.testing import TriggerCase, trigger_obligations

pytestmark = pytest.mark.anyio


def files(world):
    async def happen(number):
        part = world.directory / f"{number}.part"
        part.write_text(f"content {number}")
        part.rename(world.directory / "uploads" / f"{number}.txt")

    return TriggerCase(Files("uploads"), happen)


@pytest.mark.parametrize("obligation", trigger_obligations(files), ids=str)
async def test_files(obligation):
    await obligation.check(files)
