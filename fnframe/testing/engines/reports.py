"""Obligations of settlements and commits: the report of an invocation is kept in the same step."""

from __future__ import annotations

import datetime as dt

import msgspec

from ...engine.protocol import REPORTS, REPORTS_KEPT, Engine
from ...outcome import Report
from .obligation import World, obligation, put, require


def a_report(request_id: str, attempt: int = 1) -> Report:
    return Report(
        request_id=request_id,
        function="thumbnail",
        trigger="files",
        invocation_type="asynchronous",
        attempt=attempt,
        outcome="success",
        started_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        queued_ms=1.5,
        init_duration_ms=None,
        duration_ms=2.25,
        memory_size_mb=128,
        max_memory_used_mb=31.5,
        memory_method="peak-rss-reset",
        cpu_ms=1.0,
        environment_id="e",
        event_id="id",
        tags={"ä": "ö"},
    )


async def kept(engine: Engine) -> list[str]:
    """The ids of the request and the attempt of the reports that are kept."""
    stream = engine.stream(REPORTS)
    require(stream.partitions, 1, "partitions of the stream of reports")
    records = await stream.read(0, 0, 1000)
    reports = [msgspec.json.decode(record.body, type=Report) for record in records]
    for record, report in zip(records, reports, strict=True):
        require(record.key, report.function, "the key of a report")
        require(record.id, f"{report.request_id} {report.attempt}", "the id of a report")
        require(report, a_report(report.request_id, report.attempt), "a report")
    return [record.id for record in records]


@obligation()
async def every_settlement_keeps_its_report(world: World) -> None:
    """The bill is made of what is kept here: an attempt that was settled without its report would be free."""
    queue = world.engine.queue("orders")
    await put(queue, *"abcd")
    leases = await queue.receive(4, world.lease)
    await leases[0].ack(a_report("ack"))
    await leases[1].release(0.0, counted=True, report=a_report("release", 3))
    await leases[2].bury("dead", report=a_report("bury"))
    await leases[3].ack()
    require(await kept(world.engine), ["ack 1", "release 3", "bury 1"], "reports that are kept")
    leases = await world.received(queue)
    await put(queue, *"ef")
    await queue.ack([*leases, *await world.received(queue)], a_report("batch"))
    require((await kept(world.engine))[3:], ["batch 1"], "reports of a batch: one invocation, one report")


@obligation()
async def a_late_settlement_keeps_no_report(world: World) -> None:
    """Who has the message now will report it; two for one attempt would be billed twice."""
    queue = world.engine.queue("orders")
    await put(queue, "a")
    late = await world.one(queue)
    await world.pass_time(world.lease)
    current = await world.one(queue)
    await late.ack(a_report("late"))
    await late.release(0.0, counted=True, report=a_report("late"))
    await late.bury("late", report=a_report("late"))
    await queue.ack([late], a_report("late"))
    await current.ack(a_report("current"))
    await late.ack(a_report("late"))
    require(await kept(world.engine), ["current 1"], "reports that are kept")


@obligation()
async def a_commit_keeps_its_reports(world: World) -> None:
    """As a settlement does; a commit that comes too late keeps none."""
    stream = world.engine.stream("clicks")
    (claim, *_) = await stream.claim("group", "one", 100, world.lease)
    require(await claim.commit(b"1", [a_report("a"), a_report("b", 2)]), True, "committed")
    await claim.release()
    require(await claim.commit(b"2", [a_report("late")]), False, "committed after the release")
    require(await kept(world.engine), ["a 1", "b 2"], "reports that are kept")


@obligation("durable", "virtual time", stream_retention=10.0, stream_records=2)
async def reports_wait_for_who_bills_them(world: World) -> None:
    """The host died on Friday, with some that nobody had read, and the next one begins on Monday."""
    queue = world.engine.queue("orders")
    await put(queue, *"abc")
    for lease in await queue.receive(3, world.lease):
        await lease.ack(a_report(lease.message.id))
    engine = await world.reopen()
    await world.pass_time(3 * REPORTS_KEPT)
    require(await kept(engine), ["a 1", "b 1", "c 1"], "reports that are kept")
