"""Reports for the tests of billing: one, and any."""

from __future__ import annotations

import datetime as dt
import itertools

from hypothesis import strategies as st

from fnframe import Report

NOON = dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC)

_ids = itertools.count(1)


def report(**fields):
    """A report that is billed: 100 ms at 128 MB."""
    defaults = {
        "request_id": f"request-{next(_ids)}", "function": "f", "trigger": "direct", "invocation_type": "synchronous",
        "attempt": 1, "outcome": "success", "started_at": NOON, "queued_ms": 0.25, "init_duration_ms": None,
        "duration_ms": 100.0, "memory_size_mb": 128, "max_memory_used_mb": 40.5, "memory_method": "peak-rss-reset",
        "cpu_ms": 12.5, "environment_id": "e-1", "event_id": "event",
    }  # fmt: skip
    return Report(**defaults | fields)


def milliseconds(most):
    """As they are measured: whole nanoseconds, in a float."""
    return st.integers(0, int(most * 1e6)).map(lambda nanoseconds: nanoseconds / 1e6)


moments = st.datetimes(dt.datetime(2026, 9, 1), dt.datetime(2026, 12, 31), timezones=st.just(dt.UTC))

reports = st.builds(
    Report,
    request_id=st.uuids().map(str),
    function=st.sampled_from(["thumbnail", "photo", "größe"]),
    trigger=st.sampled_from(["http", "files", "direct"]),
    invocation_type=st.sampled_from(["synchronous", "asynchronous", "polled"]),
    attempt=st.integers(1, 3),
    outcome=st.sampled_from(["success", "success", "ValueError", "Sandbox.Timedout"]),
    started_at=moments,
    queued_ms=milliseconds(1000),
    init_duration_ms=st.none() | milliseconds(2000),
    duration_ms=milliseconds(900_000),
    memory_size_mb=st.sampled_from([128, 129, 1024, 10_240]),
    max_memory_used_mb=st.none() | st.integers(1, 10_240 * 1024).map(lambda kb: kb / 1024),
    memory_method=st.sampled_from(["peak-rss-reset", "sampled"]),
    cpu_ms=st.none() | st.integers(0, 10**9).map(lambda us: us / 1000),
    environment_id=st.sampled_from(["", "e-1"]),
    event_id=st.just("event"),
    tenant=st.none() | st.sampled_from(["acme", "zeta"]),
    tags=st.sampled_from([{}, {"team": "web"}, {"team": "web", "stage": 'a"b'}]),
    ephemeral_storage_mb=st.sampled_from([512, 513, 10_240]),
    event_bytes=st.sampled_from([0, 256 * 1024, 256 * 1024 + 1, 1024 * 1024]),
    provisioned=st.booleans(),
)
