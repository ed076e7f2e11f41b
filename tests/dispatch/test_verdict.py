"""What is said of each way in which an environment can end: Lambda's error types and texts."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from fnframe import Event, Failure, Function, FunctionError, Success
from fnframe.dispatch.verdict import Judge
from fnframe.environment.invocation import Ended, Invocation, Rejected
from fnframe.environment.wire import Exited, Raised, Result, Usage

EVENT = Event(
    id="e-1",
    source="/s",
    type="t",
    time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
# Go's `syscall.Signal.String()` on Linux, of all that end a process.
GO = {
    1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap", 6: "aborted",
    7: "bus error", 8: "floating point exception", 9: "killed", 10: "user defined signal 1", 11: "segmentation fault",
    12: "user defined signal 2", 13: "broken pipe", 14: "alarm clock", 15: "terminated", 16: "stack fault",
    24: "CPU time limit exceeded", 25: "file size limit exceeded", 26: "virtual timer expired",
    27: "profiling timer expired", 29: "I/O possible", 30: "power failure", 31: "bad system call",
    34: "signal 34", 64: "signal 64",
}  # fmt: skip


def outcome_of(reply, *, timeout=3.0, memory=128, accepted=100.0, started=101.0, finished=101.5, init=None, **options):
    function = Function(name="thumbnail", where="app.py:1", timeout=timeout, memory=memory, tags={"team": "a"})
    invocation = Invocation(function, EVENT, "r-1", accepted=accepted, **options)
    invocation.started, invocation.finished, invocation.init, invocation.reply = started, finished, init, reply
    return Judge("node-1").outcome(invocation, "peak-rss-reset")


def exited(code, *, core_dumped=False, reason="exit", peak_kb=50_000):
    return Ended(reason, Exited(7, code, core_dumped), peak_kb, 1_000)


def text_of(ended, **options):
    outcome = outcome_of(ended, **options)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "ended"
    assert outcome.stack_trace == []
    assert outcome.message.startswith("RequestId: r-1 Error: ")
    assert outcome.report.outcome == outcome.error_type
    return outcome.error_type, outcome.message.removeprefix("RequestId: r-1 Error: ")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "Runtime exited without providing a reason"),
        (1, "Runtime exited with error: exit status 1"),
        (127, "Runtime exited with error: exit status 127"),
        (255, "Runtime exited with error: exit status 255"),
    ],
)
def test_an_exit_status(code, text):
    assert text_of(exited(code)) == ("Runtime.ExitError", text)


@pytest.mark.parametrize("number", GO)
def test_a_signal_by_gos_name(number):
    assert text_of(exited(-number)) == ("Runtime.ExitError", f"Runtime exited with error: signal: {GO[number]}")


def test_a_core_dump_is_told():
    text = "Runtime exited with error: signal: segmentation fault (core dumped)"
    assert text_of(exited(-11, core_dumped=True)) == ("Runtime.ExitError", text)


def test_an_exit_status_that_nobody_saw():
    error_type, text = text_of(Ended("template", None, None, None))
    assert error_type == "Runtime.ExitError"
    assert text == "Runtime exited with error: its exit status is not known, since the template ended with it"


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(3, "3.00"), (3.0, "3.00"), (0.1, "0.10"), (1.255, "1.25"), (900.0, "900.00")]
)
def test_a_timeout_says_the_configured_one_with_two_digits(timeout, seconds):
    ended = exited(-9, reason="timeout")
    assert text_of(ended, timeout=timeout) == ("Sandbox.Timedout", f"Task timed out after {seconds} seconds")


def test_a_timeouts_duration_is_exactly_the_timeout():
    outcome = outcome_of(exited(-9, reason="timeout"), timeout=3.0, started=101.0, finished=104.0123)
    assert outcome.report.duration_ms == 3000.0
    assert outcome.payload() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r-1 Error: Task timed out after 3.00 seconds",
    }


def test_an_init_that_takes_too_long():
    """It never began, so it took nothing of its own timeout."""
    ended = exited(-9, reason="init")
    assert text_of(ended, started=0.0, finished=111.0) == ("Sandbox.Timedout", "Task timed out after 10.00 seconds")
    report = outcome_of(ended, started=0.0, finished=111.0, init=10.0).report
    assert report.duration_ms == 0.0
    assert report.init_duration_ms == 10_000.0


def test_memory_over_the_limit():
    """Lambda says `signal: killed` to the caller and `Runtime.OutOfMemory` in the report."""
    for ended in (exited(-9, reason="memory", peak_kb=131_073), exited(-9, peak_kb=131_073)):
        outcome = outcome_of(ended)
        assert outcome.report.outcome == "Runtime.OutOfMemory"
        assert outcome.message == "RequestId: r-1 Error: Runtime exited with error: signal: killed"
        assert outcome.report.max_memory_used_mb > 128


def test_the_payload_of_memory_over_the_limit_is_lambdas():
    payload = outcome_of(exited(-9, reason="memory", peak_kb=131_073)).payload()
    assert payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r-1 Error: Runtime exited with error: signal: killed",
    }


def test_killed_within_the_limit_is_no_question_of_memory():
    assert text_of(exited(-9, peak_kb=131_072))[0] == "Runtime.ExitError"
    assert text_of(Ended("exit", Exited(7, -9, False), None, None))[0] == "Runtime.ExitError"
    assert text_of(exited(-11, peak_kb=200_000))[0] == "Runtime.ExitError"
    assert text_of(exited(1, peak_kb=200_000))[0] == "Runtime.ExitError"


def test_cancelled_by_its_caller():
    assert text_of(exited(-9, reason="cancelled")) == (
        "Invocation.Cancelled",
        "cancelled by its caller, or by the end of its app",
    )


@pytest.mark.parametrize(
    ("peak_kb", "cpu_us", "method", "peak_mb", "cpu_ms"),
    [
        (51_200, 1_500, "peak-rss-reset", 50.0, 1.5),
        (51_200, None, "sampled", 50.0, None),
        (None, None, "unavailable", None, None),
    ],
)
def test_the_report_says_how_memory_was_measured(peak_kb, cpu_us, method, peak_mb, cpu_ms):
    report = outcome_of(Ended("exit", Exited(7, 1, False), peak_kb, cpu_us)).report
    assert (report.max_memory_used_mb, report.memory_method, report.cpu_ms) == (peak_mb, method, cpu_ms)


USAGE = Usage(12_345_678, 51_200, 2_500, 0, False)


def test_a_result():
    outcome = outcome_of(Result(b'{"a":1}', "application/json", USAGE), init=0.25)
    assert isinstance(outcome, Success)
    assert (outcome.value(), outcome.unwrap(), outcome.content_type) == ({"a": 1}, {"a": 1}, "application/json")
    report = outcome.report
    assert (report.request_id, report.function, report.outcome, report.node) == (
        "r-1",
        "thumbnail",
        "success",
        "node-1",
    )
    assert (report.event_id, report.trace_id) == ("e-1", "0af7651916cd43dd8448eb211c80319c")
    assert (report.duration_ms, report.cpu_ms, report.max_memory_used_mb) == (12.345678, 2.5, 50.0)
    assert (report.init_duration_ms, report.queued_ms) == (250.0, 750.0)
    assert (report.memory_size_mb, report.tags, report.version) == (128, {"team": "a"}, "$LATEST")
    assert report.started_at.utcoffset() == dt.timedelta(0)


def test_a_result_that_is_no_json_is_bytes():
    outcome = outcome_of(Result(b"\xff", "image/png", USAGE))
    assert outcome.value() == b"\xff"


def test_what_the_handler_raised():
    outcome = outcome_of(Raised("ValueError", "no luck", ['  File "app.py", line 3\n'], False, USAGE))
    assert (outcome.kind, outcome.report.outcome) == ("failed", "ValueError")
    payload = outcome.payload()
    assert payload == {
        "errorMessage": "no luck",
        "errorType": "ValueError",
        "requestId": "r-1",
        "stackTrace": ['  File "app.py", line 3\n'],
    }
    assert list(payload) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    with pytest.raises(FunctionError, match="thumbnail: ValueError: no luck") as caught:
        outcome.unwrap()
    assert caught.value.failure is outcome


def test_an_event_that_was_no_good_never_ran():
    outcome = outcome_of(Raised("Runtime.UnmarshalError", "Unable to unmarshal input: x", [], True, USAGE))
    assert (outcome.kind, outcome.error_type) == ("rejected", "Runtime.UnmarshalError")


def test_no_environment_could_take_it():
    outcome = outcome_of(Rejected("all are busy"))
    assert (outcome.kind, outcome.error_type) == ("rejected", "TooManyRequestsException")
    assert outcome.message == "all are busy"
    assert outcome.retry_after == 1.0
    assert (outcome.report.memory_method, outcome.report.environment_id) == ("unavailable", "")


def test_waiting_is_never_negative():
    """Times come from two processes: a rounding must not make a wait of less than nothing."""
    assert outcome_of(Result(b"1", "application/json", USAGE), accepted=101.0, init=0.5).report.queued_ms == 0.0


def test_peaks_that_were_not_measured_are_none():
    unmeasured = msgspec.structs.replace(USAGE, peak_kb=0, cpu_us=None)
    report = outcome_of(Result(b"1", "application/json", unmeasured)).report
    assert (report.max_memory_used_mb, report.cpu_ms) == (None, None)


@pytest.mark.parametrize("traceparent", [None, "", "x", "00-abc"])
def test_a_trace_that_is_none_gives_no_id(traceparent):
    event = msgspec.structs.replace(EVENT, traceparent=traceparent)
    function = Function(name="f", where="app.py:1")
    refused = Judge("n").rejected(Invocation(function, event, "r"), "TooManyRequestsException", "no")
    assert refused.report.trace_id is None
