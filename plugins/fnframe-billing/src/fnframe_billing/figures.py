"""What a report says, in the whole numbers that are summed up and billed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .usage import INCLUDED_STORAGE, Usage

if TYPE_CHECKING:
    from fnframe import Report

FIRST_CHUNK, CHUNK = 256 * 1024, 64 * 1024
"""Bytes of an asynchronous event that are one request, and that each further request is for."""


def is_billed(report: Report) -> bool:
    """Whether it ran: what was refused before it reached an environment costs nothing."""
    return report.environment_id != "" or report.duration_ms > 0


def usage_of(report: Report, *, init_billed: bool) -> Usage:
    """What one invocation used; nothing if it is not billed. Times are rounded to microseconds first, and the sum with
    a cold start is rounded up, not its parts."""
    if not is_billed(report):
        return Usage()
    duration = round(report.duration_ms * 1000)
    handler_ms = milliseconds = -(-duration // 1000) or 1
    if init_billed and report.init_duration_ms is not None:
        milliseconds = -(-(duration + round(report.init_duration_ms * 1000)) // 1000) or 1
    peak_mb, cpu_us = report.memory_size_mb, duration
    if report.max_memory_used_mb is not None:
        peak_mb = -(-round(report.max_memory_used_mb * 1024) // 1024)
    if report.cpu_ms is not None:
        cpu_us = round(report.cpu_ms * 1000)
    mb_ms = report.memory_size_mb * milliseconds
    return Usage(
        invocations=1,
        failures=report.outcome != "success",
        requests=requests_of(report),
        mb_ms=0 if report.provisioned else mb_ms,
        provisioned_mb_ms=mb_ms if report.provisioned else 0,
        storage_mb_ms=(report.ephemeral_storage_mb - INCLUDED_STORAGE) * milliseconds,
        cpu_us=cpu_us,
        resident_mb_ms=peak_mb * handler_ms,
        unmeasured=report.max_memory_used_mb is None or report.cpu_ms is None,
    )


def requests_of(report: Report) -> int:
    """Lambda counts large events several times where nobody waits for them."""
    if report.invocation_type != "asynchronous" or report.event_bytes <= FIRST_CHUNK:
        return 1
    return 1 + -(-(report.event_bytes - FIRST_CHUNK) // CHUNK)
