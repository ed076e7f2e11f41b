"""Obligations of an environment to who asks it: results, failures, output and figures."""

from __future__ import annotations

from ...outcome import Failure
from ..obligation import ObligationBroken, require
from .obligation import World, obligation

VALUES = [
    None,
    True,
    0,
    -1.5,
    "",
    "ä \u2028 \U0001f600",
    [],
    {},
    [1, [2, {"a": None}]],
    {"key with spaces": "x" * 100_000},
]


@obligation()
async def the_result_comes_back(world: World) -> None:
    """An answer is JSON, as the event is: nothing may be lost or changed on the way, through another language say."""
    for value in VALUES:
        outcome = await world.client.invoke(world.case.echo, value)
        require(outcome.unwrap(), value, "the result")


@obligation()
async def a_failure_tells_what_and_why(world: World) -> None:
    """Retries, dead letters and people decide by the type of an error and read its message: a failure is a value, and
    the environment that told of it goes on."""
    outcome = await world.client.invoke(world.case.fails, "the reason")
    if not isinstance(outcome, Failure):
        raise ObligationBroken(f"expected a failure, found {outcome!r}")
    require(outcome.kind, "failed", "which failure it was (it ran, and failed)")
    if not outcome.error_type or "the reason" not in outcome.message:
        raise ObligationBroken(f"expected the message to tell 'the reason', found {outcome.message!r}")
    require(outcome.report.outcome, outcome.error_type, "the outcome in the report")
    await world.works()


@obligation("speaks")
async def what_it_writes_belongs_to_its_invocation(world: World) -> None:
    """The log of an invocation is what it wrote, all of it, and not what the one before wrote."""
    assert world.case.speaks is not None
    for text in ("first words", "second words"):
        await world.client.invoke(world.case.speaks, text)
    first, second = world.client.heard.of(world.case.speaks)
    for report, spoken, other in ((first, "first", "second"), (second, "second", "first")):
        output = world.client.heard.output_of(report)
        if f"{spoken} words" not in output or f"{other} words" in output:
            raise ObligationBroken(f"expected '{spoken} words' alone in the output of its invocation, found {output!r}")


@obligation()
async def its_figures_are_measured_or_none(world: World) -> None:
    """The bill is made of them. What cannot be measured is None with the method `unavailable`, and not 0."""
    await world.works()
    (report,) = world.client.heard.reports
    require(report.duration_ms > 0, True, f"a duration above 0, found {report.duration_ms}; whether")
    if report.memory_method == "unavailable":
        require((report.max_memory_used_mb, report.cpu_ms), (None, None), "memory and processor time")
        return
    for name, value in (("max_memory_used_mb", report.max_memory_used_mb), ("cpu_ms", report.cpu_ms)):
        if value is None or not value > 0:
            raise ObligationBroken(f"{name}: expected a figure above 0 ({report.memory_method}), found {value}")
