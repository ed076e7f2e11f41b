"""The running app for synchronous programs: direct exchanges in callers' threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fnframe import Event, Failure, FunctionNotFound, NotRunning, Success
from fnframe.event import now

sys.path.insert(0, str(Path(__file__).parent.parent / "apps"))
from behaviours import app
from hostile import app as hostile

HOSTILE = str(Path(__file__).parent.parent / "apps" / "hostile.py")


@pytest.fixture(scope="module")
def running():
    with app.run_in_thread() as running:
        yield running


def test_what_happens_in_an_environment_is_the_same(running):
    for _ in range(3):  # Once through the event loop, then directly.
        assert running.invoke("echo", {"a": 1}).unwrap() == {"a": 1}
        outcome = running.invoke("raises", "no luck")
        assert isinstance(outcome, Failure)
        assert (outcome.error_type, outcome.message) == ("ValueError", "no luck")
        assert running.invoke("typed", {"id": "x"}).error_type == "Runtime.UnmarshalError"
        assert running.invoke("exits", 3).message.endswith("exit status 3")
        assert running.invoke("touches", 200).error_type == "Runtime.OutOfMemory"
        assert running.invoke("spin").error_type == "Sandbox.Timedout"
        assert running.invoke("prints_much", 1_000_000).unwrap() == 1_000_000
        payload = b'"' + b"x" * 5_000_000 + b'"'
        assert running.invoke("echo", payload=payload).payload == payload


def test_the_second_invocation_is_direct_and_warm(running):
    first = running.invoke("pid")
    asked = time.monotonic()
    second = running.invoke("pid")
    took = (time.monotonic() - asked) * 1000
    assert second.unwrap() == first.unwrap()
    assert second.report.init_duration_ms is None
    assert second.report.environment_id == first.report.environment_id
    assert second.report.queued_ms + second.report.duration_ms <= took


def test_a_direct_timeout_and_what_follows(running):
    assert running.invoke("spin_if", "a").unwrap() == []
    assert running.invoke("spin_if", "spin").error_type == "Sandbox.Timedout"
    assert running.invoke("spin_if", "a").unwrap() == []
    outcome = running.invoke("leaves_child")
    assert isinstance(outcome, Success)
    assert isinstance(running.invoke("leaves_child"), Success)


def test_a_direct_timeout_is_answered_before_its_process_is_dead(running, tmp_path):
    template, told = running._running._bundle.templates[0]._process.pid, tmp_path / "told"
    running.invoke("holds_and_tells", [0, ""])  # From now on there is one to be used directly.
    while not all(environment.pid for environment in running._running.pool._live):
        time.sleep(0.001)
    os.kill(template, signal.SIGSTOP)  # Nobody tells of the death.
    outcome = running.invoke("holds_and_tells", [60, str(told)])
    os.kill(template, signal.SIGCONT)
    assert (outcome.error_type, outcome.report.memory_method) == ("Sandbox.Timedout", "peak-rss-reset")
    assert outcome.report.max_memory_used_mb == pytest.approx(float(told.read_text().split()[0]) / 1024, abs=2)
    assert isinstance(running.invoke("holds_and_tells", [0, ""]), Success)


def test_a_direct_invocation_can_send(running, tmp_path):
    path = tmp_path / "log"
    for _ in range(3):
        running.invoke("fans_out", str(path))
    running.drained()
    assert sorted(path.read_text().split()) == sorted("012" * 3)


def test_many_threads_at_once(running):
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: running.invoke("echo", n).unwrap(), range(4000)))
    assert answers == list(range(4000))
    assert running._running.pool.statistics()["waiting"] == 0


def test_threads_and_the_loop_share_environments(running):
    """A thread gives an environment back just when the loop looks for one."""
    stop = threading.Event()

    def direct():
        while not stop.is_set():
            assert running.invoke("counts").unwrap()

    async def through_the_loop():
        for _ in range(500):
            assert (await running._running.invoke("counts")).unwrap()

    threads = [threading.Thread(target=direct) for _ in range(3)]
    for thread in threads:
        thread.start()
    running._portal.call(through_the_loop)
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_errors_reach_the_caller(running):
    with pytest.raises(FunctionNotFound, match="did you mean 'echo'"):
        running.invoke("ecko")
    with pytest.raises(FunctionNotFound, match="no function None; this app has: "):
        running.invoke(None)
    with pytest.raises(FunctionNotFound):
        running.enqueue("ecko")


@pytest.mark.parametrize(
    "given", [{"data": 1, "payload": b"2"}, {"data": 1, "event": Event}, {"payload": b"1", "event": Event}]
)
def test_one_thing_is_given(running, given):
    given = {
        name: Event(id="1", source="", type="", time=now()) if value is Event else value
        for name, value in given.items()
    }
    for verb in (running.invoke, running.enqueue):
        with pytest.raises(TypeError, match="give one of them: data, payload, or a whole event"):
            verb("echo", **given)


def test_after_the_end():
    from echo import app as small

    with small.run_in_thread() as running:
        pid = running.invoke("pid").unwrap()
    for verb in (
        lambda: running.invoke("pid"),
        lambda: running.enqueue("pid"),
        lambda: running.queue("q").send(1),
        lambda: running.stream("s").publish(1, key="k"),
        running.drained,
    ):
        with pytest.raises(NotRunning, match="has ended"):
            verb()
    assert not Path(f"/proc/{pid}").exists() or pid == os.getpid()


def test_prints_and_failures_reach_the_hosts_log(running, caplog):
    with caplog.at_level("INFO", logger="fnframe.functions"):
        running.invoke("prints_much", 10)
        running.invoke("raises", "no luck")
        running.enqueue("raises", "no luck later")
        running.drained()
    printed, failed, *later, settled = [
        (record.levelname, record.getMessage()) for record in caplog.records if record.name == "fnframe.functions"
    ]
    assert printed == ("INFO", "prints_much: xxxxxxxxxx")
    assert failed[0] == "WARNING"
    assert failed[1].startswith("raises: ValueError: no luck\nTraceback (most recent call last):\n  File ")
    assert [level for level, _ in later] == ["WARNING"] * 3
    assert settled[0] == "ERROR"
    assert "failed after 3 attempt(s): ValueError; no destination has its record" in settled[1]


def test_a_thread_that_waits_for_an_environment_of_another_function_is_served(tmp_path):
    """The only one is lent to a caller's thread, which gives it back without the event loop."""
    gate = tmp_path / "gate"
    outcomes = []
    with hostile.run_in_thread(target=HOSTILE, max_environments=1) as running:
        running.invoke("waits_for", "/")  # The next one is direct.

        def invoke(function, data):
            outcomes.append(running.invoke(function, data).unwrap())

        pool = running._running.pool
        threads = []
        for function, data, begun in [
            ("waits_for", str(gate), lambda: any(environment.direct for environment in pool._live)),
            ("echo", 1, lambda: pool.statistics()["waiting"] == 1),
            ("other", 2, lambda: pool.statistics()["waiting"] == 2),
        ]:
            threads.append(threading.Thread(target=invoke, args=(function, data), daemon=True))
            threads[-1].start()
            deadline = time.monotonic() + 10
            while not begun():
                assert time.monotonic() < deadline
                time.sleep(0.001)
        gate.touch()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert sorted(map(str, outcomes)) == sorted(["1", "2", str(gate)])  # Their threads add them in any order.


@pytest.mark.parametrize(("callers", "max_environments", "each"), [(3, 1, 15), (16, 3, 50)])
def test_more_threads_than_environments_and_several_functions(callers, max_environments, each):
    interval = sys.getswitchinterval()
    with hostile.run_in_thread(target=HOSTILE, max_environments=max_environments) as running:
        wrong = []

        def call(caller):
            for n in range(each):
                function = ("echo", "other", "echo", "busy", "echo", "echo")[(caller + n) % 6]
                outcome = running.invoke(function, [caller, n])
                if not isinstance(outcome, Success) or outcome.value() != [caller, n]:
                    wrong.append(outcome)

        threads = [threading.Thread(target=call, args=(caller,), daemon=True) for caller in range(callers)]
        sys.setswitchinterval(1e-5)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
                assert not thread.is_alive()
        finally:
            sys.setswitchinterval(interval)
        assert wrong == []
        assert running._running.pool.statistics()["waiting"] == 0


def test_an_app_that_is_in_no_file_is_refused_with_what_to_do(tmp_path):
    """`python -c`, a prompt, a notebook: there is nothing that an environment could import."""
    program = "from fnframe import App\napp = App('x')\n@app.function()\ndef f(): ...\nwith app.run_in_thread(): ..."
    for arguments in (["-c", program], ["-"]):
        done = subprocess.run(
            [sys.executable, *arguments], input=program, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "ConfigurationError: app 'x' is in no file" in done.stderr
        assert "put it into one, app.py say, and import it here" in done.stderr
