"""Tumbling windows: a state goes from one invocation to the next, and the last one tells that it is the last."""

from __future__ import annotations

import json

import pytest
from facts import drained, passing, until

pytestmark = pytest.mark.anyio

SUM = """
@app.function(Stream("clicks", tumbling_window=60.0, batch_size=2))
def total(batch: Batch[Click], context: Context):
    window = batch.window
    state = {"sum": window.state.get("sum", 0) + sum(record.data.n for record in batch)}
    words = [f"{window.start:%H:%M}", len(batch), state["sum"]]
    note("total", *words, *(["final"] if window.is_final else []), *(["early"] if window.is_terminated_early else []))
    return {"state": state}
"""


async def publish(world, *clicks):
    for click in clicks:
        await world.running.stream("clicks").publish(click, key="k")


async def test_the_state_of_a_window_and_its_last_invocation(world):
    world = await world(SUM)
    await publish(world, *({"n": n} for n in (1, 2, 3)))
    await drained(world.running, world.clock)
    assert [line.split()[0] for line in world.log("total")] == ["08:00"] * len(world.log("total"))
    assert world.log("total")[-1].split()[2] == "6"
    await passing(world.clock, 30)
    await publish(world, {"n": 4})
    await drained(world.running, world.clock)
    await passing(world.clock, 40)
    await publish(world, {"n": 5})
    await until(lambda: "final" in "".join(world.log()), world.clock)
    await drained(world.running, world.clock)
    last = world.log("total")[-3:]
    assert last == ["08:00 1 10", "08:00 0 10 final", "08:01 1 5"]


async def test_a_window_ends_without_another_record(world):
    world = await world(SUM)
    await publish(world, {"n": 1})
    await drained(world.running, world.clock)
    assert world.log("total") == ["08:00 1 1"]
    await passing(world.clock, 58 - world.clock.time() % 60)
    assert len(world.log("total")) == 1
    await passing(world.clock, 8)
    await until(lambda: len(world.log("total")) == 2)
    assert world.log("total")[1] == "08:00 0 1 final"
    await passing(world.clock, 200)
    assert len(world.log("total")) == 2, "where nothing comes, there is no window"


async def test_a_state_that_becomes_too_large_ends_its_window_early(world):
    world = await world("""
@app.function(Stream("clicks", tumbling_window=60.0, batch_size=1))
def total(batch: Batch[Click]):
    window = batch.window
    text = window.state.get("text", "") + "x" * sum(record.data.n for record in batch)
    note("total", len(batch), len(text), window.is_final, window.is_terminated_early)
    return {"state": {"text": text}}
""")
    await publish(world, *({"n": n} for n in (600_000, 500_000, 7)))
    await drained(world.running, world.clock)
    assert world.log("total") == [
        "1 600000 False False",
        "1 1100000 False False",
        "0 1100000 True True",
        "1 7 False False",
    ]
    await passing(world.clock, 70)
    await until(lambda: len(world.log("total")) == 5, world.clock)
    assert world.log("total")[4] == "0 7 True False"


async def test_a_failure_leaves_the_state_and_partial_batches_keep_it(world):
    world = await world("""
@app.function(Stream("clicks", tumbling_window=60.0, batch_size=3, window=1.0))
def total(batch: Batch[Click], context: Context):
    seen = batch.window.state.get("seen", [])
    note("total", seen, [record.data.n for record in batch], context.attempt)
    if context.attempt == 1 and not seen:
        raise ValueError("first")
    done = batch.records[:1] if context.attempt == 2 else batch.records
    for record in batch.records[len(done):]:
        batch.fail(record)
    return {"state": {"seen": seen + [record.data.n for record in done]}}
""")
    await publish(world, *({"n": n} for n in (1, 2, 3)))
    await drained(world.running, world.clock)
    assert world.log("total") == ["[] [1, 2, 3] 1", "[] [1, 2, 3] 2", "[1] [2, 3] 1"]


async def test_an_answer_without_a_state_is_a_failure(world, tmp_path, caplog):
    world = await world("""
@app.function(Stream("clicks", tumbling_window=60.0, maximum_attempts=2, on_failure="file:lost.jsonl"))
def total(event):
    note("total", event["Records"], event["state"], event["isFinalInvokeForWindow"])
""")
    await publish(world, {"n": 1})
    await drained(world.running, world.clock)
    assert world.log("total") == ["[{'n': 1}] {} False"] * 2
    assert 'a function with a tumbling window must return {"state": ...}' in caplog.text
    assert json.loads((tmp_path / "lost.jsonl").read_text())["KinesisBatchInfo"]["batchSize"] == 1
