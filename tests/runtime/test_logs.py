"""The log lines: Lambda's two forms, for every kind of outcome, in whole lines."""

from __future__ import annotations

import datetime as dt
import io
import json
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnframe import Failure, Function, Report, Success
from fnframe.log_lines import billed_ms
from fnframe.runtime.logs import LONGEST_LINE, LogLines, OutputLines

FUNCTION = Function(name="f", where="app.py:1")
REPORT = Report(
    request_id="id-1",
    function="f",
    trigger="direct",
    invocation_type="synchronous",
    attempt=1,
    outcome="success",
    started_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    queued_ms=0.0,
    init_duration_ms=None,
    duration_ms=3.014,
    memory_size_mb=128,
    max_memory_used_mb=35.2,
    memory_method="peak-rss-reset",
    cpu_ms=1.0,
    environment_id="x",
    event_id="e",
)


def report(**changes):
    return msgspec.structs.replace(REPORT, **changes)


def log(form, outcome, output=(), *, started=True):
    stream = io.StringIO()
    lines = LogLines(stream, form)
    request_id = outcome.report.request_id
    if started:
        lines.fnframe_invocation_started(request_id=request_id, function=FUNCTION)
    for data in output:
        lines.fnframe_invocation_output(request_id=request_id, function=FUNCTION, data=data)
    lines.fnframe_invocation_reported(report=outcome.report, outcome=outcome)
    return stream.getvalue()


def records(text):
    return [(record["type"], record["record"]) for record in map(json.loads, text.splitlines())]


def test_a_warm_success_in_text():
    assert log("text", Success(b"1", report()), [b"hello\n"]) == (
        "START RequestId: id-1 Version: $LATEST\n"
        "hello\n"
        "END RequestId: id-1\n"
        "REPORT RequestId: id-1\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\t\n"
    )


def test_a_cold_start_comes_last_and_is_billed():
    text = log("text", Success(b"1", report(init_duration_ms=110.1)))
    assert text.endswith(
        "Billed Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n"
    )


def test_memory_that_was_not_measured_says_so():
    outcome = Success(b"1", report(max_memory_used_mb=None, memory_method="unavailable"))
    assert "\tMax Memory Used: not measured\t" in log("text", outcome)
    assert records(log("json", outcome))[-1][1]["metrics"]["maxMemoryUsedMB"] is None


def test_an_exception_in_text_has_its_stack_and_no_status():
    failure = Failure("failed", "ValueError", "boom", report(outcome="ValueError"), ['  File "a.py", line 1, in f\n'])
    text = log("text", failure)
    assert '[ERROR] ValueError: boom\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nEND' in text
    assert "Status" not in text


def test_a_timeout_in_text():
    message = "RequestId: id-1 Error: Task timed out after 3.00 seconds"
    failure = Failure("ended", "Sandbox.Timedout", message, report(outcome="Sandbox.Timedout", duration_ms=3000.0))
    lines = log("text", failure).split("\n")
    assert lines[1].endswith("Z id-1 Task timed out after 3.00 seconds")
    assert lines[2] == ""
    assert lines[4].startswith("REPORT RequestId: id-1\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\t")
    assert lines[4].endswith("\tStatus: timeout\t")


def test_a_process_that_went_away_in_text():
    message = "RequestId: id-1 Error: Runtime exited with error: exit status 1"
    text = log("text", Failure("ended", "Runtime.ExitError", message, report(outcome="Runtime.ExitError")))
    assert f"\n{message}\nRuntime.ExitError\nEND" in text
    assert text.endswith("\tStatus: error\tError Type: Runtime.ExitError\t\n")


def test_a_success_in_json():
    outcome = Success(b"12345", report(init_duration_ms=110.1))
    start, output, done, end = records(log("json", outcome, [b'say "hi"\n']))
    place = {"requestId": "id-1", "functionName": "f"}
    assert start == ("platform.start", {**place, "version": "$LATEST"})
    assert output == ("function", {**place, "message": 'say "hi"'})
    metrics = {"durationMs": 3.01, "producedBytes": 5}
    assert done == ("platform.runtimeDone", {**place, "metrics": metrics, "status": "success"})
    metrics = {
        "durationMs": 3.01,
        "billedDurationMs": 114,
        "memorySizeMB": 128,
        "maxMemoryUsedMB": 36,
        "initDurationMs": 110.1,
    }
    assert end == ("platform.report", {**place, "metrics": metrics, "status": "success"})


@pytest.mark.parametrize(
    ("kind", "error_type", "status"),
    [
        ("failed", "ValueError", "error"),
        ("ended", "Runtime.ExitError", "error"),
        ("ended", "Sandbox.Timedout", "timeout"),
    ],
)
def test_failures_in_json(kind, error_type, status):
    failure = Failure(kind, error_type, "why", report(outcome=error_type, tenant="t1"), ["frame"])
    _, error, done, end = records(log("json", failure))
    assert error[1]["level"] == "ERROR"
    assert (error[1]["errorType"], error[1]["errorMessage"], error[1]["stackTrace"]) == (
        error_type,
        "why",
        ["frame"],
    )
    for _, record in (done, end):
        assert (record["status"], record["errorType"], record["tenantId"]) == (status, error_type, "t1")


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_never_ran_is_one_line_with_the_reason(form):
    failure = Failure("rejected", "TooManyRequestsException", "Rate Exceeded.", report(outcome="TooMany"))
    text = log(form, failure, started=False)
    assert text.count("\n") == 1
    assert "id-1" in text
    assert "TooManyRequestsException" in text
    assert "Rate Exceeded." in text


@pytest.mark.parametrize(
    ("duration", "init", "billed"),
    [
        (600000.0, 476.75, 600477),
        (133.61, 80.0, 214),
        (1293.83, 1049.63, 2344),
        (3.0, None, 3),
        (3.0001, None, 4),
        (2.1, 0.9, 3),
        (0.0, None, 0),
    ],
)
def test_duration_and_init_are_rounded_up_together(duration, init, billed):
    """The first three are lines of Lambda's own log; 2.1 + 0.9 is a hair over 3 in binary fractions."""
    assert billed_ms(report(duration_ms=duration, init_duration_ms=init)) == billed


def test_output_is_written_in_whole_lines_while_requests_interleave():
    stream = io.StringIO()
    lines = LogLines(stream, "text")
    for request_id, data in [("a", b"one "), ("b", b"two\nthr"), ("a", b"line\n"), ("b", b"ee\n")]:
        lines.fnframe_invocation_output(request_id=request_id, function=FUNCTION, data=data)
    assert stream.getvalue() == "two\none line\nthree\n"


def test_a_last_line_without_an_end_comes_before_the_report():
    text = log("text", Success(b"1", report()), [b"no ", b"end"])
    assert "no end\nEND RequestId" in text


@given(
    outputs=st.dictionaries(st.sampled_from("abc"), st.lists(st.binary(max_size=8), max_size=8)),
    order=st.randoms(use_true_random=False),
)
def test_no_byte_is_lost_or_mixed_however_the_pieces_come(outputs, order):
    lines = OutputLines()
    turns = [request_id for request_id, pieces in outputs.items() for _ in pieces]
    order.shuffle(turns)
    left = {request_id: iter(pieces) for request_id, pieces in outputs.items()}
    got = {request_id: [] for request_id in outputs}
    for request_id in turns:
        got[request_id] += lines.add(request_id, next(left[request_id]))
    for request_id, pieces in outputs.items():
        got[request_id] += lines.rest(request_id)
        *whole, rest = b"".join(pieces).split(b"\n")
        expected = [*whole, rest] if rest else whole
        assert got[request_id] == [line.removesuffix(b"\r").decode("utf-8", "replace") for line in expected]


def test_output_without_an_end_does_not_grow_without_bound():
    lines = OutputLines()
    assert lines.add("a", b"x" * (LONGEST_LINE - 1)) == []
    assert lines.add("a", b"x") == ["x" * LONGEST_LINE]
    assert lines.rest("a") == []


def test_output_between_invocations_is_written_at_once():
    assert OutputLines().add("", b"left over") == ["left over"]


def test_a_log_that_cannot_be_written_is_told_once_and_changes_nothing(caplog):
    full = os.open("/dev/full", os.O_WRONLY)
    with open(full, "w", closefd=False) as stream:
        lines = LogLines(stream, "text")
        for _ in range(3):
            lines.fnframe_invocation_started(request_id="a", function=FUNCTION)
        with pytest.raises(OSError, match="No space"):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full)
    lines.fnframe_invocation_started(request_id="b", function=FUNCTION)
    assert [record.message for record in caplog.records] == ["log lines are lost: [Errno 28] No space left on device"]


def test_each_json_record_is_one_line_whatever_was_printed():
    text = log("json", Success(b"1", report()), ["a\u2028b\x00\n".encode(), b"\xff\n"])
    messages = [msgspec.json.decode(line)["record"].get("message") for line in text.split("\n")[1:3]]
    assert messages == ["a\u2028b\x00", "\ufffd"]
