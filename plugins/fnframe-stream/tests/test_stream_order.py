"""A stream feeds a function: in order, from its checkpoint on, however a batch fails."""

from __future__ import annotations

import json

import anyio
import pytest
from facts import drained, passing, until

pytestmark = pytest.mark.anyio


async def publish(world, *clicks, key="k"):
    for click in clicks:
        await world.running.stream("clicks").publish(click, key=key)


def numbers(lines: list[str]) -> list[list[int]]:
    return [[int(number) for number in line.split()] for line in lines]


def flat(lines: list[str]) -> list[int]:
    return [number for line in numbers(lines) for number in line]


async def test_batches_in_order(world):
    world = await world("""
@app.function(Stream("clicks", batch_size=3))
def count(batch: Batch[Click]):
    note("count", *(record.data.n for record in batch))
    assert [record.position for record in batch] == list(range(batch[0].position, batch[0].position + len(batch)))
""")
    await publish(world, *({"n": n} for n in range(7)))
    await drained(world.running, world.clock)
    assert flat(world.log("count")) == list(range(7))
    assert max(map(len, numbers(world.log("count")))) <= 3


async def test_a_batch_that_failed_comes_again_and_what_lies_behind_it_waits(world):
    world = await world("""
@app.function(Stream("clicks", batch_size=2))
def count(batch: Batch[Click], context: Context):
    note("count", *(record.data.n for record in batch))
    if batch[0].data.n == 2 and context.attempt < 4:
        raise ValueError("not yet")
""")
    await publish(world, *({"n": n} for n in range(6)))
    await drained(world.running, world.clock)
    assert numbers(world.log("count")) == [[0, 1], [2, 3], [2, 3], [2, 3], [2, 3], [4, 5]]
    assert [report.attempt for report in world.listener.reports] == [1, 1, 2, 3, 4, 1]
    assert len(world.listener.settled) == 3


async def test_the_lowest_failure_is_the_checkpoint_and_attempts_are_counted_anew(world, tmp_path):
    """As Lambda was recorded: of [4, 5, 6] with 3 retries, where 6 always fails: [4, 5, 6], then [6] four times."""
    world = await world("""
@app.function(Stream("clicks", batch_size=3, maximum_attempts=4, on_failure="file:lost.jsonl"))
def count(batch: Batch[Click], context: Context):
    note("count", *(record.data.n for record in batch))
    failed = [record for record in reversed(batch.records) if record.data.n == 6]
    return {"batchItemFailures": [{"itemIdentifier": str(record.position)} for record in failed]}
""")
    await publish(world, *({"n": n} for n in range(4, 8)))
    await drained(world.running, world.clock)
    assert numbers(world.log("count")) == [[4, 5, 6], *[[6]] * 4, [7]]
    record = json.loads((tmp_path / "lost.jsonl").read_text())
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 4
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None}
    info = record["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"], info["batchSize"]) == ("3", "3", 1)
    assert info["streamArn"] == "clicks"


async def test_a_batch_is_split_until_the_bad_record_is_alone(world, tmp_path):
    world = await world("""
@app.function(Stream("clicks", batch_size=8, bisect=True, maximum_attempts=2, on_failure="file:lost.jsonl"))
def count(batch: Batch[Click], context: Context):
    note("count", *(record.data.n for record in batch))
    if any(record.data.n == 5 for record in batch):
        raise ValueError("five")
""")
    await publish(world, *({"n": n} for n in range(8)))
    await drained(world.running, world.clock)
    assert numbers(world.log("count")) == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [4, 5],
        [4],
        [5],
        [5],
        [6, 7],
    ]
    (line,) = (tmp_path / "lost.jsonl").read_text().splitlines()
    assert json.loads(line)["KinesisBatchInfo"]["startSequenceNumber"] == "6"
    assert json.loads(line)["requestContext"]["approximateInvokeCount"] == 2


async def test_a_record_that_ends_its_environment_is_isolated_and_given_up_on_where_it_has_somewhere_to_go(
    world, tmp_path
):
    world = await world("""
@app.function(Stream("clicks", batch_size=4, on_failure="function:hears"))
def count(batch: Batch[Click], context: Context):
    note("count", *(record.data.n for record in batch))
    if any(record.data.n == 1 for record in batch):
        os._exit(1)

@app.function()
def hears(record):
    info = record["KinesisBatchInfo"]
    note("hears", info["startSequenceNumber"], info["endSequenceNumber"], record["requestContext"]["condition"])
""")
    await publish(world, *({"n": n} for n in range(4)))
    await drained(world.running, world.clock)
    assert numbers(world.log("count")) == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3]]
    assert world.log("hears") == ["2 2 RetryAttemptsExhausted"]


async def test_records_that_are_too_old_are_passed_over_as_one_range(world, tmp_path, caplog):
    world = await world("""
@app.function(Stream("clicks", batch_size=3, window=1.0, maximum_age=3600.0, on_failure="file:lost.jsonl"))
def count(batch: Batch[Click], context: Context):
    note("count", *(record.data.n for record in batch))
    if batch[0].data.n < 3:
        raise ValueError("never")
""")
    await publish(world, *({"n": n} for n in range(3)))
    await until(lambda: len(world.log("count")) > 2, world.clock)
    await passing(world.clock, 3601)
    await publish(world, {"n": 3})
    await drained(world.running, world.clock)
    assert numbers(world.log("count"))[-1] == [3]
    (line,) = (tmp_path / "lost.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in record
    assert record["KinesisBatchInfo"]["batchSize"] == 3
    assert "gives up on 1-3 of partition" in caplog.text


async def test_without_attempts_or_a_destination_a_batch_comes_again_for_ever(world):
    world = await world(
        """
@app.function(Stream("clicks", batch_size=1))
def count(click: Click, context: Context):
    note("count", click.n, context.attempt)
    os._exit(1)
""",
        grace=0.0,
    )
    await publish(world, {"n": 0}, {"n": 1})
    await until(lambda: len(world.log("count")) > 8, world.clock)
    assert {line.split()[0] for line in world.log("count")} == {"0"}


async def test_where_a_function_begins(world, write_app):
    """What is published before it is there counts only from the earliest on; what follows is never missed."""
    world = await world("@app.function()\ndef nothing(): ...")
    for seconds, n in ((0, 0), (40, 1), (20, 2)):
        world.clock.advance(seconds)
        await publish(world, {"n": n})
    write_app("""
@app.function(Stream("clicks"))
def earliest(batch: Batch[Click]):
    note("earliest", *(record.data.n for record in batch))

@app.function(Stream("clicks", start="latest"))
def latest(batch: Batch[Click]):
    note("latest", *(record.data.n for record in batch))

@app.function(Stream("clicks", start=1_800_000_050.0))
def since(batch: Batch[Click]):
    note("since", *(record.data.n for record in batch))
""")
    await world.running.reload()
    await publish(world, {"n": 3})
    await drained(world.running, world.clock)
    assert flat(world.log("earliest")) == [0, 1, 2, 3]
    assert flat(world.log("latest")) == [3]
    assert flat(world.log("since")) == [2, 3]


async def test_what_has_one_key_is_in_one_lane_and_lanes_run_at_once(world, tmp_path):
    world = await world("""
@app.function(Stream("clicks", batch_size=2, lanes=10), timeout=30.0)
def count(batch: Batch[Click]):
    for key in {record.key for record in batch}:
        (HERE / f"in-{key}").open("x").close()
    while not (HERE / "gate").exists(): pass
    for record in batch:
        note("count", record.key, record.data.n)
    for key in {record.key for record in batch}:
        (HERE / f"in-{key}").unlink()
""")
    for n in range(3):
        for key in "abcdefgh":
            await world.running.stream("clicks").publish({"n": n}, key=key)
    await until(lambda: len(list(tmp_path.glob("in-*"))) > 2)
    (tmp_path / "gate").touch()
    await drained(world.running, world.clock)
    for key in "abcdefgh":
        assert [line.split()[1] for line in world.log("count") if line.startswith(key)] == ["0", "1", "2"]
    assert all(report.outcome == "success" for report in world.listener.reports)


async def test_a_filter_passes_over_what_does_not_fit(world):
    world = await world("""
@app.function(Stream("clicks", filter={"data": {"n": [{"anything-but": [1, 2]}]}}))
def count(batch: Batch[Click]):
    note("count", *(record.data.n for record in batch))
""")
    await publish(world, *({"n": n} for n in (0, 1, 3, 2)))
    await drained(world.running, world.clock)
    assert flat(world.log("count")) == [0, 3]
    assert len(world.listener.filtered) == 2


async def test_a_window_of_batching_waits_for_more(world):
    world = await world("""
@app.function(Stream("clicks", batch_size=10, window=20.0))
def count(batch: Batch[Click]):
    note("count", *(record.data.n for record in batch))
""")
    await publish(world, {"n": 0})
    world.clock.advance(10)
    await publish(world, {"n": 1})
    await anyio.wait_all_tasks_blocked()
    assert world.log() == []
    world.clock.advance(10)
    await until(world.log)
    assert numbers(world.log("count")) == [[0, 1]]


async def test_a_record_that_does_not_fit_holds_up_what_lies_behind_it(world, tmp_path):
    world = await world("""
@app.function(Stream("clicks", batch_size=5, maximum_attempts=2, on_failure="file:lost.jsonl"))
def count(batch: Batch[Click]):
    note("count", *(record.data.n for record in batch))
""")
    await publish(world, {"n": 0}, {"n": 1}, {"n": "x"}, {"n": 3})
    await drained(world.running, world.clock)
    assert flat(world.log("count")) == [0, 1, 3]
    (line,) = (tmp_path / "lost.jsonl").read_text().splitlines()
    assert json.loads(line)["KinesisBatchInfo"]["startSequenceNumber"] == "3"


async def test_a_clock_that_is_set_back_holds_nothing_up(world):
    """What is published then is accepted as late as what was before it, which is in the future: it must not wait."""
    world = await world("""
@app.function(Stream("clicks", batch_size=10, window=1))
def count(batch: Batch[Click]):
    note("count", *(record.data.n for record in batch))
""")
    await publish(world, {"n": 1})
    await drained(world.running, world.clock)
    world.clock.step(-7200.0)
    await publish(world, {"n": 2})
    for _ in range(3):
        await passing(world.clock, 1.0)
    await until(lambda: flat(world.log("count")) == [1, 2])
