"""A queue feeds a function: batches, and what becomes of each message of one."""

from __future__ import annotations

import json
from ast import literal_eval

import anyio
import pytest
from facts import drained, passing, until

from fnframe.engine.protocol import REPORTS

pytestmark = pytest.mark.anyio


async def send(world, *orders, **options):
    for number, order in enumerate(orders):
        await world.running.queue("orders").send(order, id=f"m{number}", **options)


async def kept_reports(world) -> list[tuple[str, int, str]]:
    """Those that the engine has, with what they settled."""
    records = await world.running.engine.stream(REPORTS).read(0, 0, 1000)
    reports = [json.loads(record.body) for record in records]
    return [(report["invocation_type"], report["attempt"], report["outcome"]) for report in reports]


async def test_batches_of_the_size_that_was_asked_for_and_the_rest_when_its_window_is_over(world):
    world = await world("""
@app.function(Queue("orders", batch_size=3, window=30.0))
def bill(batch: Batch[Order], context: Context):
    note("bill", [record.data.n for record in batch], batch.source, context.attempt)
""")
    await send(world, *({"n": n} for n in range(7)))
    await until(lambda: len(world.log()) == 2)
    assert sorted(world.log("bill")) == ["[0, 1, 2] queue:orders 1", "[3, 4, 5] queue:orders 1"]
    world.clock.advance(29.9)
    await anyio.wait_all_tasks_blocked()
    assert len(world.log()) == 2
    await drained(world.running, world.clock)
    assert world.log("bill")[2] == "[6] queue:orders 1"
    assert [report.invocation_type for report in world.listener.reports] == ["polled"] * 3
    assert await kept_reports(world) == [("polled", 1, "success")] * 3
    assert len(world.listener.settled) == 3


async def test_a_function_takes_a_list_or_one_order_where_that_is_all_it_wants(world):
    world = await world("""
@app.function(Queue("orders", batch_size=2))
def several(orders: list[Order]):
    note("several", orders)

@app.function(Queue("single", batch_size=1))
async def one(order: Order):
    note("one", order)

@app.function(Queue("plain"))
def plain(event):
    note("plain", event)
""")
    await send(world, {"n": 1}, {"n": 2})
    await world.running.queue("single").send({"n": 3})
    await world.running.queue("plain").send({"n": 4})
    await drained(world.running, world.clock)
    assert sorted(world.log()) == ["one Order(n=3)", "plain [{'n': 4}]", "several [Order(n=1), Order(n=2)]"]


async def test_what_failed_comes_again_and_the_rest_is_done(world):
    """In both forms of an answer, and by `fail`; what no answer helps goes to the dead letters."""
    world = await world("""
@app.function(Queue("orders", batch_size=10, window=1.0))
def bill(batch: Batch[Order], context: Context):
    note("bill", [(record.id, record.attempt) for record in batch], context.attempt)
    failed = [record.id for record in batch if record.data.n == 1 and record.attempt < 3]
    for record in batch:
        if record.data.n == 2 and record.attempt < 2:
            batch.fail(record)
        if record.data.n == 3:
            return {"batch_item_failures": [*failed, record.id], "batchItemFailures": [{"itemIdentifier": "m3"}]}
    return {"batch_item_failures": failed}
""")
    await send(world, *({"n": n} for n in range(4)))
    await drained(world.running, world.clock)
    assert world.log("bill")[0] == "[('m0', 1), ('m1', 1), ('m2', 1), ('m3', 1)] 1"
    deliveries = [literal_eval(line.rpartition(" ")[0]) for line in world.log("bill")]
    counts = {id_: max(a for batch in deliveries for i, a in batch if i == id_) for id_ in ("m0", "m1", "m2", "m3")}
    assert counts == {"m0": 1, "m1": 3, "m2": 2, "m3": 3}
    assert await world.dead("orders") == {"m3": "RetriesExhausted after 3 attempts: BatchItemFailure"}
    assert ("bill", "m3", "BatchItemFailure", 3, None) in world.listener.settled
    # On its last attempt a message comes alone.
    assert all(len(batch) == 1 for batch in deliveries for _, attempt in batch if attempt == 3)


@pytest.mark.parametrize("answer", ['raise ValueError("no")', 'return {"batch_item_failures": ["m7"]}', 'return b"x"'])
async def test_the_whole_batch_fails(world, answer, caplog):
    world = await world(f"""
@app.function(Queue("orders", batch_size=2, maximum_attempts=2))
def bill(batch: Batch[Order], context: Context):
    note("bill", sorted(record.id for record in batch), context.attempt)
    {answer}
""")
    await send(world, {"n": 0}, {"n": 1})
    await drained(world.running, world.clock)
    assert world.log("bill")[0] == "['m0', 'm1'] 1"
    assert sorted(world.log("bill")[1:]) == ["['m0'] 2", "['m1'] 2"]
    error = "ValueError" if answer.startswith("raise") else "Runtime.InvalidBatchResponse"
    assert await world.dead("orders") == dict.fromkeys(("m0", "m1"), f"RetriesExhausted after 2 attempts: {error}")
    letters = await world.running.engine.queue("orders").dead_letters()
    assert json.loads(letters[0].error)["errorType"] == error
    if "m7" in answer:
        assert "'m7' is no record of this batch" in caplog.text


async def test_a_record_that_does_not_fit_harms_no_other(world):
    world = await world("""
@app.function(Queue("orders", batch_size=3))
def bill(batch: Batch[Order]):
    note("bill", [record.id for record in batch], [(misfit.record.id, misfit.problem) for misfit in batch.misfits])
""")
    await send(world, {"n": 0}, {"n": "x"}, {"n": 2})
    await drained(world.running, world.clock)
    assert world.log("bill") == ["['m0', 'm2'] [('m1', 'Expected `int`, got `str` - at `$.n`')]"]
    assert await world.dead("orders") == {"m1": "RetriesExhausted after 3 attempts: Runtime.UnmarshalError"}


async def test_a_message_that_ends_its_environment_ends_nobody_else(world):
    world = await world("""
@app.function(Queue("orders", batch_size=4, maximum_attempts=9))
def bill(batch: Batch[Order]):
    note("bill", *sorted(record.id for record in batch))
    if any(record.data.n == 2 for record in batch):
        os._exit(3)
""")
    await send(world, *({"n": n} for n in range(4)))
    await drained(world.running, world.clock)
    assert world.log("bill")[0] == "m0 m1 m2 m3"
    assert sorted(world.log("bill")[1:]) == ["m0", "m1", "m2", "m2", "m3"]
    reason = "its environment or its host ended 3 times while it ran: Runtime.ExitError"
    assert await world.dead("orders") == {"m2": reason}


async def test_a_timeout_is_a_failure_and_no_poison(world):
    world = await world("""
@app.function(Queue("orders", batch_size=1, poison=1, maximum_attempts=2), timeout=0.05)
def bill(order: Order):
    while True: pass
""")
    await send(world, {"n": 0})
    await drained(world.running, world.clock)
    # By their reports: on a busy machine a handler has not had time to write a line when it is ended.
    assert [(report.attempt, report.outcome) for report in world.listener.reports] == [
        (1, "Sandbox.Timedout"),
        (2, "Sandbox.Timedout"),
    ]
    assert await world.dead("orders") == {"m0": "RetriesExhausted after 2 attempts: Sandbox.Timedout"}


async def test_age_ends_a_message_and_throttles_do_not(world, tmp_path):
    world = await world("""
@app.function(Queue("old", batch_size=1, maximum_age=3600.0, maximum_attempts=1000))
def ages(order: Order):
    note("ages")
    raise ValueError("again")

@app.function(Queue("orders", batch_size=1), reserved_concurrency=1, timeout=30.0)
def narrow(order: Order, context: Context):
    while not (HERE / "gate").exists(): pass
    note("narrow", order.n, context.attempt)
""")
    await world.running.queue("old").send({"n": 0}, id="old")
    await until(lambda: len(world.log("ages")) >= 2, world.clock)
    await passing(world.clock, 3601)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.running.invoke, "narrow", {"n": 7})
        await until(lambda: world.running.pool.statistics()["live"] > 1)
        await send(world, {"n": 0})
        await until(lambda: any(r.outcome == "TooManyRequestsException" for r in world.listener.reports), world.clock)
        (tmp_path / "gate").touch()
    await drained(world.running, world.clock)
    assert world.log("narrow") == ["7 1", "0 1"]
    dead = await world.dead("old")
    assert dead["old"].startswith("EventAgeExceeded")
    assert ("synchronous", 1, "success") not in await kept_reports(world)
    assert not any(outcome == "TooManyRequestsException" for *_, outcome in await kept_reports(world))


async def test_a_queue_does_not_ask_for_more_than_its_function_may_have(world):
    source = """
@app.function(Queue("narrow", batch_size=1), reserved_concurrency=1)
def narrow(order: Order):
    note("narrow", order.n)

@app.function(Queue("off", batch_size=1), reserved_concurrency=0)
def off(order: Order): ...
"""
    world = await world(source, grace=0.0)
    await world.running.queue("off").send({"n": 0})
    for n in range(10):
        await world.running.queue("narrow").send({"n": n})
    await passing(world.clock, 10)
    await until(lambda: len(world.log("narrow")) == 10, world.clock)
    throttled = [r.function for r in world.listener.reports if r.outcome == "TooManyRequestsException"]
    assert set(throttled) == {"off"}
    assert len(throttled) < 10, "one that is switched off is left alone for long"


async def test_a_filter_lets_through_what_fits_and_the_rest_is_done(world):
    world = await world("""
@app.function(Queue("orders", batch_size=10, filter={"data": {"n": [{"numeric": [">", 1]}]}, "key": ["a"]}))
def bill(batch: Batch[Order]):
    note("bill", *(record.id for record in batch))
""")
    for number, group in enumerate(["a", "a", "b", "a"]):
        await world.running.queue("orders").send({"n": number}, id=f"m{number}", group=group)
    await drained(world.running, world.clock)
    assert world.log("bill") == ["m3"]
    assert world.listener.filtered == ["m0", "m1", "m2"]
    assert len(world.listener.reports) == 1


async def test_never_more_batches_at_once_than_was_asked_for(world, tmp_path):
    world = await world("""
@app.function(Queue("orders", batch_size=1, maximum_concurrency=2), timeout=30.0)
def bill(order: Order):
    (HERE / f"in-{order.n}").touch()
    while not (HERE / "gate").exists(): pass
""")
    await send(world, *({"n": n} for n in range(5)))
    await until(lambda: len(list(tmp_path.glob("in-*"))) == 2)
    await anyio.wait_all_tasks_blocked()
    statistics = await world.running.engine.queue("orders").statistics()
    assert (statistics.waiting, statistics.leased) == (3, 2), "what cannot run here is left to others"
    (tmp_path / "gate").touch()
    await drained(world.running, world.clock)
    assert len(list(tmp_path.glob("in-*"))) == 5


async def test_a_lease_is_kept_while_its_function_runs(world, tmp_path):
    world = await world("""
@app.function(Queue("orders", batch_size=1), timeout=30.0)
def bill(order: Order):
    note("bill", order.n)
    while not (HERE / "gate").exists(): pass
""")
    await send(world, {"n": 0})
    await until(world.log)
    await passing(world.clock, 300)
    assert (await world.running.engine.queue("orders").statistics()).leased == 1
    (tmp_path / "gate").touch()
    await drained(world.running, world.clock)
    assert world.log("bill") == ["0"]
