"""What each way to behave comes to, in a real environment."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest
from facts import until

from fnframe import Event, Failure, Success
from fnframe.event import now
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
APP = str(Path(__file__).parent.parent / "apps" / "behaviours.py")


@pytest.fixture(params=[("asyncio", "fork"), ("trio", "fork"), ("asyncio", "spawn")], ids="-".join)
def way(request):
    """The event loop of the host, and how environments start."""
    return request.param


@pytest.fixture
def anyio_backend(way):
    return way[0]


@pytest.fixture
async def running(way):
    async with run_target(APP, settings={"start_method": way[1]}) as running:
        assert running.manifest.start_method == way[1]
        yield running


async def test_values_go_in_and_come_out(running):
    assert (await running.invoke("echo", {"a": [1, 2.5, None, "ü"]})).unwrap() == {"a": [1, 2.5, None, "ü"]}
    assert (await running.invoke("nothing")).unwrap() is None
    assert (await running.invoke("typed", {"id": 1, "items": ["x"]})).unwrap() == {"id": 1, "items": ["x"]}
    assert (await running.invoke("set_result")).unwrap() == [1, 2, 3]
    outcome = await running.invoke("raw", payload=b"\x00\x01\xff")
    assert (outcome.unwrap(), outcome.content_type) == (b"\xff\x01\x00", "application/octet-stream")


async def test_a_handler_may_ask_for_the_whole_event(running):
    event = Event(id="e1", source="/s", type="t", time=now(), data=b"[1]")
    assert (await running.invoke("whole", event=event)).unwrap() == {"id": "e1", "source": "/s", "data": [1]}


async def test_the_context_tells_of_the_invocation(running):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    outcome = await running.invoke("about", event=Event(id="e", source="s", type="t", time=now(), traceparent=trace))
    context = outcome.unwrap()
    assert context["request_id"] == outcome.report.request_id
    assert (context["function"], context["memory"], context["attempt"]) == ("about", 256, 1)
    assert 4.0 < context["remaining"] <= 5.0
    assert context["trace"] == trace
    assert outcome.report.trace_id == "0af7651916cd43dd8448eb211c80319c"


async def test_data_that_does_not_fit_names_the_field(running):
    outcome = await running.invoke("typed", {"id": 1, "items": [1]})
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.error_type) == ("rejected", "Runtime.UnmarshalError")
    assert "$.items[0]" in outcome.message
    outcome = await running.invoke("echo", payload=b"{not json")
    assert outcome.error_type == "Runtime.UnmarshalError"


async def test_an_async_handler_keeps_its_loop_and_loses_its_tasks(running):
    first, second = [(await running.invoke("later", 1)).unwrap() for _ in range(2)]
    assert first == second
    assert (await running.invoke("leaves_task")).unwrap() == []
    assert (await running.invoke("leaves_task")).unwrap() == [True]


async def test_an_exception_is_the_functions_failure_and_the_environment_stays(running):
    before = (await running.invoke("counts")).unwrap()
    outcome = await running.invoke("raises", "no luck")
    assert isinstance(outcome, Failure)
    assert outcome.payload() == {
        "errorMessage": "no luck",
        "errorType": "ValueError",
        "requestId": outcome.report.request_id,
        "stackTrace": outcome.stack_trace,
    }
    assert len(outcome.stack_trace) == 1
    assert "behaviours.py" in outcome.stack_trace[0]
    assert "raise ValueError(event)" in outcome.stack_trace[0]
    assert (await running.invoke("counts")).unwrap() == before + 1
    assert (await running.invoke("raises_nasty")).message == "<the text of this Nasty cannot be made>"


ENDINGS = [
    ("exits", 0, "Runtime exited without providing a reason"),
    ("exits", None, "Runtime exited without providing a reason"),
    ("exits", 127, "Runtime exited with error: exit status 127"),
    ("exits", "a text", "Runtime exited with error: exit status 1"),
    ("exits_hard", 3, "Runtime exited with error: exit status 3"),
    ("segfault", None, "Runtime exited with error: signal: segmentation fault"),
    ("kills_itself", signal.SIGTERM, "Runtime exited with error: signal: terminated"),
    ("kills_itself", signal.SIGKILL, "Runtime exited with error: signal: killed"),
    ("kills_itself", signal.SIGABRT, "Runtime exited with error: signal: aborted"),
]


async def test_a_process_that_goes_away_tells_how(running):
    for function, data, text in ENDINGS:
        outcome = await running.invoke(function, data)
        assert isinstance(outcome, Failure)
        assert (outcome.kind, outcome.error_type) == ("ended", "Runtime.ExitError")
        assert outcome.message == f"RequestId: {outcome.report.request_id} Error: {text}", (function, data)
        assert (await running.invoke("echo", 1)).unwrap() == 1


@pytest.mark.parametrize("function", ["spin", "sleeps"])
async def test_a_timeout_ends_whatever_runs(running, function):
    outcome = await running.invoke(function)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.error_type) == ("ended", "Sandbox.Timedout")
    assert outcome.payload() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {outcome.report.request_id} Error: Task timed out after 0.10 seconds",
    }
    assert outcome.report.duration_ms == 100.0
    assert outcome.report.max_memory_used_mb > 1
    assert isinstance(await running.invoke("echo"), Success)


async def test_who_waits_for_one_that_takes_long_to_die_is_answered_before(running, tmp_path):
    """What was killed with a gigabyte takes 150 ms to die. What it used is read before the kill."""
    await running.invoke("holds_and_tells", [0, ""])
    template, told = running._bundle.templates[0]._process.pid, tmp_path / "told"
    await until(lambda: all(environment.pid for environment in running.pool._live))
    os.kill(template, signal.SIGSTOP)  # Nobody tells of the death.
    outcome = await running.invoke("holds_and_tells", [60, str(told)])
    os.kill(template, signal.SIGCONT)
    assert (outcome.error_type, outcome.report.memory_method) == ("Sandbox.Timedout", "peak-rss-reset")
    peak_kb, cpu, _ = map(float, told.read_text().split())
    assert peak_kb / 1024 <= outcome.report.max_memory_used_mb < peak_kb / 1024 + 2
    assert outcome.report.cpu_ms == pytest.approx(cpu * 1000, rel=0.1, abs=5)
    assert isinstance(await running.invoke("echo"), Success)


async def test_memory_over_the_limit_ends_the_environment(running):
    outcome = await running.invoke("grows")
    assert isinstance(outcome, Failure)
    assert outcome.error_type == outcome.report.outcome == "Runtime.OutOfMemory"
    assert outcome.message.endswith("Runtime exited with error: signal: killed")
    assert 128 < outcome.report.max_memory_used_mb < 228
    # A peak that was over before anybody looked, and gone again, counts as well.
    assert (await running.invoke("touches", 200)).error_type == "Runtime.OutOfMemory"


async def test_the_peak_is_that_of_each_invocation(running):
    base = (await running.invoke("touches", 0)).report
    large = (await running.invoke("touches", 50)).report
    again = (await running.invoke("touches", 0)).report
    assert base.memory_method == "peak-rss-reset"
    assert large.max_memory_used_mb - base.max_memory_used_mb == pytest.approx(50, abs=2)
    assert again.max_memory_used_mb == pytest.approx(base.max_memory_used_mb, abs=2)
    assert base.environment_id == large.environment_id == again.environment_id


async def test_results_that_cannot_be_sent(running):
    outcome = await running.invoke("no_result")
    assert outcome.error_type == "Runtime.MarshalError"
    assert outcome.message == "Unable to marshal response: Object of type object is not JSON serializable"
    limit = 6 * 1024 * 1024 + 100
    assert len((await running.invoke("sized_result", limit)).payload) == limit
    outcome = await running.invoke("sized_result", limit + 1)
    assert outcome.error_type == "Function.ResponseSizeTooLarge"
    assert outcome.message == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."


async def test_payloads_up_to_the_limit_go_through(running):
    limit = 6 * 1024 * 1024
    payload = b'"' + b"x" * (limit - 2) + b'"'
    assert (await running.invoke("echo", payload=payload)).payload == payload
    outcome = await running.invoke("echo", payload=payload + b" ")
    assert (outcome.kind, outcome.error_type) == ("rejected", "RequestEntityTooLargeException")


async def test_one_file_may_be_as_large_as_the_ephemeral_storage(running):
    assert isinstance(await running.invoke("big_file", 512), Success)
    assert (await running.invoke("big_file", 513)).error_type == "OSError"


async def test_start_functions_run_once_in_each_environment(running):
    info = (await running.invoke("pid")).unwrap()
    assert info["started"] == [info["pid"]]
    assert info["pid"] != os.getpid()
    assert (await running.invoke("pid")).unwrap() == info


async def test_variables_are_there_when_the_module_is_imported(running):
    assert (await running.invoke("colour")).unwrap() == "blue"
    assert (await running.invoke("no_colour")).unwrap() is None


async def test_the_temporary_directory_survives_a_reset(running):
    assert (await running.invoke("spin_if", "keep")).unwrap() == ["kept"]
    assert (await running.invoke("spin_if", "spin")).error_type == "Sandbox.Timedout"
    assert (await running.invoke("spin_if", "look")).unwrap() == ["kept"]


async def test_a_left_child_ends_with_its_environment(running):
    outcome = await running.invoke("leaves_child")
    await gone(outcome.unwrap())
    assert (await running.invoke("leaves_child")).report.environment_id != outcome.report.environment_id


async def test_a_detached_child_is_swept_after_a_kill(running, tmp_path):
    path = tmp_path / "pid"
    assert (await running.invoke("detaches_child", str(path))).error_type == "Sandbox.Timedout"
    await gone(int(path.read_text()))


async def test_nothing_is_left_after_the_end():
    async with run_target(APP) as running:
        info = (await running.invoke("pid")).unwrap()
        child = (await running.invoke("leaves_child")).unwrap()
    assert not Path(info["tmp"]).exists()
    for process in (info["pid"], child):
        await gone(process)


async def gone(pid: int) -> None:
    with anyio.fail_after(5):
        while _alive(pid):
            await anyio.sleep(0.001)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
