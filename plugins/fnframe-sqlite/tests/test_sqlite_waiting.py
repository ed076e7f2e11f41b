"""Who waits for records, while the file is not to be had."""

from __future__ import annotations

import anyio
import apsw
import pytest
from facts import until

from fnframe.engine.protocol import Record

pytestmark = pytest.mark.anyio


async def test_a_read_whose_time_is_over_before_it_was_looked_at_finds_nothing(make, tmp_path, clock):
    async with make() as engine:
        stream = engine.stream("s")
        await stream.publish([Record("k", b"1")])
        found = []

        async def read():
            found.append(await stream.read(0, 1, 10, wait=5.0))

        other = apsw.Connection(str(tmp_path / "engine.db"))
        other.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(lambda: any(clock.monotonic() < moment for moment in clock.moments()))
            clock.advance(10.0)
            await anyio.wait_all_tasks_blocked()
            assert found == []
            other.execute("ROLLBACK")
        other.close()
        assert found == [[]]
