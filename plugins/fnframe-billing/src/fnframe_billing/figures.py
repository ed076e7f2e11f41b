"""What a report says, in the whole numbers that are summed up and billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .usage import INCLUDED_STORAGE, Usage

if TYPE_CHECKING:
    from fnframe import Report

FIRST_CHUNK, CHUNK = 256 * 1024, 64 * 1024
"""Bytes of an asynchronous event that are one request, and that each further request is for."""


class Figures(NamedTuple):
    """One invocation. `handler_ms` is what is billed of it without its cold start, `billed_ms` with it: the sum is
    rounded up, not its parts. `resident_mb_ms` and `cpu_us` stand in for what was not measured: see `Usage`."""

    duration_us: int
    init_us: int | None
    handler_ms: int
    billed_ms: int
    requests: int
    peak_kb: int | None
    measured_cpu_us: int | None
    cpu_us: int
    resident_mb_ms: int


def is_billed(report: Report) -> bool:
    """Whether it ran: what was refused before it reached an environment costs nothing."""
    return report.environment_id != "" or report.duration_ms > 0


def figures(report: Report) -> Figures:
    """The figures of a report that is billed. Times are rounded to microseconds first."""
    duration = round(report.duration_ms * 1000)
    handler_ms = -(-duration // 1000) or 1
    init = billed_ms = None
    if report.init_duration_ms is not None:
        init = round(report.init_duration_ms * 1000)
        billed_ms = -(-(duration + init) // 1000) or 1
    peak = cpu = None
    peak_mb = report.memory_size_mb
    if report.max_memory_used_mb is not None:
        peak = round(report.max_memory_used_mb * 1024)
        peak_mb = -(-peak // 1024)
    if report.cpu_ms is not None:
        cpu = round(report.cpu_ms * 1000)
    return Figures(
        duration,
        init,
        handler_ms,
        handler_ms if billed_ms is None else billed_ms,
        requests_of(report),
        peak,
        cpu,
        duration if cpu is None else cpu,
        peak_mb * handler_ms,
    )


def usage_of(report: Report, *, init_billed: bool) -> Usage:
    """What one invocation used; nothing if it is not billed."""
    if not is_billed(report):
        return Usage()
    found = figures(report)
    milliseconds = found.billed_ms if init_billed else found.handler_ms
    mb_ms = report.memory_size_mb * milliseconds
    return Usage(
        invocations=1,
        failures=report.outcome != "success",
        requests=found.requests,
        mb_ms=0 if report.provisioned else mb_ms,
        provisioned_mb_ms=mb_ms if report.provisioned else 0,
        storage_mb_ms=(report.ephemeral_storage_mb - INCLUDED_STORAGE) * milliseconds,
        cpu_us=found.cpu_us,
        resident_mb_ms=found.resident_mb_ms,
        unmeasured=found.peak_kb is None or found.measured_cpu_us is None,
    )


def requests_of(report: Report) -> int:
    """Lambda counts large events several times where nobody waits for them."""
    if report.invocation_type != "asynchronous" or report.event_bytes <= FIRST_CHUNK:
        return 1
    return 1 + -(-(report.event_bytes - FIRST_CHUNK) // CHUNK)
