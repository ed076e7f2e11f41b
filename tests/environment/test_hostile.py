"""What a handler may do to its host: nothing. One that misbehaves is answered for, and the next one is served."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections import Counter
from pathlib import Path

import anyio
import pytest
from facts import live_pids, runs, state_of, until

from fnframe import ConfigurationError, Failure, Success, hookimpl
from fnframe.environment import children
from fnframe.environment.wire import Result, Usage, encode
from fnframe.runtime.logs import LogLines
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
APP = str(Path(__file__).parent.parent / "apps" / "hostile.py")
LIES = ["an int", "a str", "no type", "bytes as type", "three", "nothing"]


async def begun(environment) -> None:
    with anyio.fail_after(10):
        while not environment.in_flight:
            await anyio.sleep(0)


def says_something(environment) -> bool:
    return bool(select.select([environment._connection], [], [], 0)[0])


def keep_busy_until(condition) -> None:
    """Block the event loop, as anything else in a host may."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0002)


class Heard:
    """Of what functions print, the first megabyte: one of them floods."""

    def __init__(self):
        self.text = b""

    @hookimpl
    def fnframe_invocation_output(self, data):
        if len(self.text) < 2**20:
            self.text += data


async def test_output_without_end_keeps_nobody(tmp_path):
    heard = Heard()
    outcomes = []
    with open(os.devnull, "w") as log:
        async with run_target(APP, plugins=[LogLines(log, "json"), heard]) as running:
            await running.invoke("echo", 0)

            async def flood():
                outcomes.append(await running.invoke("floods"))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flood)
                await until(lambda: heard.text)
                assert (await running.invoke("echo", 1)).unwrap() == 1
                assert not outcomes, "the other was answered meanwhile"
    assert outcomes[0].error_type == "Sandbox.Timedout"


@pytest.mark.parametrize("function", ["gathers", "shares_its_context"])
async def test_a_handler_may_enqueue_much_at_once(function):
    async with run_target(APP) as running:
        outcome = await running.invoke(function, 1000)
        assert isinstance(outcome, Success), outcome
        assert len(set(outcome.value())) == 1000
        await running.drained()


async def test_a_task_that_is_left_sending_leaves_its_answer_to_nobody():
    async with run_target(APP) as running:
        first = await running.invoke("leaves_sending", "send")
        environment = next(e for e in running.pool._live if e.id == first.report.environment_id)
        outcomes = []

        async def invoke(data):
            outcomes.append(await running.invoke("leaves_sending", data))

        await live_pids(running)
        async with anyio.create_task_group() as tasks:
            os.kill(environment.pid, signal.SIGSTOP)  # It says nothing before the host is busy.
            tasks.start_soon(invoke, "leave")
            await begun(environment)
            os.kill(environment.pid, signal.SIGCONT)
            # The host is busy until all that the environment has to say has come.
            keep_busy_until(lambda: says_something(environment) and state_of(environment.pid) == "S")
        await invoke("send")
        assert [type(outcome) for outcome in outcomes] == [Success, Success]
        assert {outcome.report.environment_id for outcome in outcomes} == {first.report.environment_id}


async def test_an_environment_that_answers_and_then_dies_is_not_served_again():
    async with run_target(APP, settings={"max_environments": 1}) as running:
        await running.invoke("echo", 0)
        (environment,) = running.pool._live
        outcomes = []

        async def invoke(data):
            outcomes.append(await running.invoke("echo", data))

        await live_pids(running)
        async with anyio.create_task_group() as tasks:
            os.kill(environment.pid, signal.SIGSTOP)  # It says nothing before the host is busy.
            for data in range(3):
                tasks.start_soon(invoke, data)
            await begun(environment)
            os.kill(environment.pid, signal.SIGCONT)
            # The host is busy until the answer and the end have come.
            keep_busy_until(lambda: says_something(environment))
            os.kill(environment.pid, signal.SIGKILL)
            keep_busy_until(lambda: not runs(environment.pid))
        assert sorted(outcome.unwrap() for outcome in outcomes) == [0, 1, 2]
        assert len({outcome.report.environment_id for outcome in outcomes}) == 2


async def test_who_waits_when_the_app_ends_is_answered(tmp_path):
    outcomes = []
    async with anyio.create_task_group() as tasks:
        async with run_target(APP, settings={"max_environments": 1, "grace": 0.05}) as running:

            async def invoke():
                outcomes.append(await running.invoke("waits_for", str(tmp_path / "never")))

            for _ in range(4):
                tasks.start_soon(invoke)
            await until(lambda: running.pool.statistics()["waiting"] == 3)
        with anyio.fail_after(5):
            while len(outcomes) < 4:
                await anyio.sleep(0.002)
    assert Counter(outcome.kind for outcome in outcomes) == {"rejected": 3, "ended": 1}
    assert {o.message for o in outcomes if o.kind == "rejected"} == {"the app has ended"}


async def test_a_function_has_its_turn_however_busy_another_is():
    async with run_target(APP, settings={"max_environments": 1}) as running:
        answered = anyio.Event()

        async def keeps_busy():
            while not answered.is_set():
                assert isinstance(await running.invoke("busy", 1), Success)

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(keeps_busy)
            await until(lambda: running.pool.statistics()["waiting"] == 3)
            with anyio.fail_after(10):
                assert (await running.invoke("echo", 1)).unwrap() == 1
            answered.set()


async def test_a_child_that_is_dead_does_not_hide_one_that_runs():
    async with run_target(APP) as running:
        first = await running.invoke("leaves_dead_and_living")
        for pid in first.unwrap():
            await until(lambda pid=pid: not runs(pid))
        second = await running.invoke("leaves_dead_and_living")
        assert second.report.environment_id != first.report.environment_id


async def test_garbage_in_the_connection_ends_the_environment():
    async with run_target(APP) as running:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = await running.invoke("writes_garbage")
        assert isinstance(outcome, Failure)
        assert outcome.error_type == "Runtime.ExitError"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000, "nothing of it is kept"
        assert (await running.invoke("echo", 1)).unwrap() == 1


@pytest.mark.parametrize("function", ["forks_and_both_come_out", "forks_and_both_come_out_async"])
async def test_a_forked_child_that_comes_out_of_the_handler_does_not_answer_for_it(function):
    """It read and wrote the same connection: its answer was the caller's, and its parent's that of the next caller."""
    heard = Heard()
    async with run_target(APP, plugins=[heard]) as running:
        first = await running.invoke(function, "returns")
        assert first.unwrap() == "parent"
        second = await running.invoke(function, "raises" if function == "forks_and_both_come_out" else "returns")
        assert second.unwrap() == "parent"
        assert second.report.environment_id == first.report.environment_id
        assert (await running.invoke("echo", 1)).unwrap() == 1
    text = heard.text.decode()
    assert text.count("fnframe: a process that the handler forked came out of it, and ends here\n") == 2
    assert text.endswith("ValueError: in the child\n") or function != "forks_and_both_come_out"


async def test_who_starts_more_processes_than_can_be_looked_after_is_ended(caplog, monkeypatch):
    monkeypatch.setattr(children, "MOST_PROCESSES", 50)
    async with run_target(APP) as running:
        outcome = await running.invoke("forks_much")
        assert (outcome.error_type, outcome.kind) == ("Runtime.ExitError", "ended")
        assert outcome.message.endswith("Runtime exited with error: signal: killed")
        assert "'forks_much' has started more than 50 processes and is ended" in caplog.text
        assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_a_forked_child_cannot_send_in_its_parents_name():
    async with run_target(APP) as running:
        told = (await running.invoke("sends_from_a_child")).unwrap()
        assert told == "only the environment's own process can send, and this one was forked from it"
        assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_a_context_sends_for_its_own_invocation_only():
    """A thread that was left behind sent in the name of whatever ran when it came to it."""
    async with run_target(APP) as running:
        first = await running.invoke("sends_by_an_old_context", 1)
        assert isinstance(first, Success)
        second = await running.invoke("sends_by_an_old_context", 2)
        assert second.report.environment_id == first.report.environment_id
        assert second.message == "the invocation of this context is over"


ANSWER = bytes(encode(Result(b'"forged"', "application/json", Usage(1, 1, 1, 0, False))))


async def test_an_answer_that_nobody_asked_for_ends_the_environment(tmp_path):
    async with run_target(APP) as running:
        first = await running.invoke("writes_later", [str(tmp_path / "gate"), ANSWER.hex()])
        environment = next(e for e in running.pool._live if e.id == first.report.environment_id)
        (tmp_path / "gate").touch()
        await until(lambda: environment not in running.pool._live)
        assert environment.reason == "exit"


async def test_temporary_directories_that_are_hard_to_remove_are_removed():
    async with run_target(APP, settings={"idle_timeout": 0.05}) as running:
        directory = Path((await running.invoke("digs")).unwrap())
        await until(lambda: not directory.exists())
        assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_a_temporary_directory_that_was_deleted_is_made_anew():
    async with run_target(APP) as running:
        first = await running.invoke("keeps_a_file", "delete")
        lost = await running.invoke("keeps_a_file", "keep")
        assert lost.error_type == "FileNotFoundError"
        kept = await running.invoke("keeps_a_file", "keep")
        assert len(kept.unwrap()) == 1
        assert kept.report.environment_id == first.report.environment_id
        await running.invoke("keeps_a_file", "replace by a file")
        assert (await running.invoke("keeps_a_file", "exit")).error_type == "Runtime.ExitError"
        assert len((await running.invoke("keeps_a_file", "keep")).unwrap()) == 1
        # With those of all the others: new ones are made where they can be.
        await running.invoke("keeps_a_file", "delete all")
        assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_results_that_are_not_what_they_say():
    async with run_target(APP) as running:
        environments = set()
        for lie in LIES:
            outcome = await running.invoke("lies", lie)
            assert isinstance(outcome, Failure), lie
            assert outcome.error_type == "Runtime.MarshalError"
            environments.add(outcome.report.environment_id)
        assert len(environments) == 1
        outcome = await running.invoke("wrong_length")
        assert (outcome.unwrap(), outcome.content_type) == (b"abc", "application/octet-stream")
        assert (await running.invoke("wrong_length")).report.environment_id == outcome.report.environment_id


async def test_a_standard_output_that_cannot_be_flushed():
    async with run_target(APP) as running:
        assert (await running.invoke("breaks_stdout")).unwrap() == (await running.invoke("breaks_stdout")).unwrap()


BROKEN_START = """
import os
from pathlib import Path
from fnframe import App

app = App("broken")
LOG = Path(__file__).parent / "log"


@app.on_start
def start():
    if os.environ["FNFRAME_FUNCTION"] == "broken":
        with open(LOG, "a") as log:
            log.write("started\\n")
        raise RuntimeError("no database")


@app.function(provisioned_concurrency=1)
def broken():
    pass


@app.function()
def works():
    return "works"
"""


async def test_an_environment_that_cannot_start_is_not_provisioned_again_at_once(write_app, tmp_path):
    def starts() -> int:
        return len((tmp_path / "log").read_text().splitlines()) if (tmp_path / "log").exists() else 0

    async with run_target(write_app(BROKEN_START)) as running:
        await until(starts)
        with anyio.move_on_after(0.3):  # For so long there is nothing more to see.
            while starts() < 4:
                assert (await running.invoke("works")).unwrap() == "works"
        assert starts() < 4
        outcome = await running.invoke("broken")
        assert (outcome.error_type, outcome.message) == ("RuntimeError", "no database")


PROVISIONED = """
from fnframe import App

app = App("provisioned")


@app.function(provisioned_concurrency=50)
def many():
    pass
"""


async def test_an_app_that_is_refused_leaves_no_process(write_app):
    before = own_children()
    with pytest.raises(ConfigurationError, match="provisioned_concurrency"):
        async with run_target(write_app(PROVISIONED), settings={"max_environments": 4}):
            pass
    assert own_children() <= before, "one of an earlier test may end meanwhile"


def own_children() -> set[str]:
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


NO_FORK = """
import time
from pathlib import Path

import __main__  # The template.

HERE = Path(__file__).parent
real = __main__.fork


def fork():
    if (HERE / "full").exists():
        with open(HERE / "log", "a") as log:
            log.write("refused\\n")
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return real()


__main__.fork = fork

from fnframe import App

app = App("nofork")


@app.function(provisioned_concurrency=1)
def warm():
    return "warm"


@app.function(timeout=30.0)
def waits():
    while not (HERE / "gate").exists():
        time.sleep(0.002)
    return "waited"
"""


async def test_a_template_that_cannot_fork_says_so_and_what_runs_goes_on(write_app, tmp_path):
    async with run_target(write_app(NO_FORK), settings={"max_environments": 5}) as running:
        outcomes = []

        async def invoke():
            outcomes.append(await running.invoke("waits"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(invoke)
            lane = running.pool._lanes["waits"]
            await until(lambda: lane.live and lane.templates.spare and lane.templates.spare.pid)
            (tmp_path / "full").touch()
            for _ in range(3):  # One of them gets the environment that was ready.
                tasks.start_soon(invoke)
            await until(lambda: len(outcomes) == 2)
            for outcome in outcomes:
                assert isinstance(outcome, Failure)
                assert outcome.kind == "rejected"
                assert outcome.message.endswith("no environment could start: Resource temporarily unavailable")
            (tmp_path / "gate").touch()
        assert [outcome.unwrap() for outcome in outcomes[2:]] == ["waited"] * 2
        (tmp_path / "full").unlink()
        killed = await live_pids(running)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not any(environment.pid in killed for environment in running.pool._live))
        assert (await running.invoke("waits")).unwrap() == "waited"


PATCHED = """
import os
import select
import signal
import time

from fnframe import App

real = signal.signal


def refuse(*arguments, **options):
    raise RuntimeError("an event loop would run here")


def only_others(number, handler):
    return refuse() if number == signal.SIGCHLD else real(number, handler)


os.fork = os.waitpid = select.poll = time.sleep = refuse
signal.signal = only_others
app = App("patched")


@app.function(timeout=1.0)
def works(event):
    if event == "exit":
        os._exit(3)
    while event == "spin":
        pass
    return event
"""


async def test_an_app_that_replaces_functions_of_the_system(write_app):
    """As gevent does: its fork waits for the children, and the template died of not finding them."""
    async with run_target(write_app(PATCHED)) as running:
        template = running._bundle.templates[0]
        for data, outcome in (("exit", "Runtime.ExitError"), ("spin", "Sandbox.Timedout"), ("echo", "success")):
            assert (await running.invoke("works", data)).report.outcome == outcome
        await until(lambda: not running.pool.statistics()["dying"])
        assert running._bundle.templates[0] is template


NOT_OURS = """
import subprocess
from pathlib import Path

from fnframe.environment import parent

THEIRS = Path(__file__).with_name("theirs")
THEIRS.mkdir()
real = parent.kill


def kill(pid, number):
    if (THEIRS / str(pid)).exists():
        raise PermissionError(1, "Operation not permitted")
    real(pid, number)


parent.kill = kill

from fnframe import App

app = App("notours")


@app.function()
def leaves():
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (THEIRS / str(child.pid)).touch()
"""


async def test_a_process_that_became_another_users_does_not_end_the_template(write_app, tmp_path):
    """As one does that a handler starts with sudo: the template died of the error, and all environments with it."""
    async with run_target(write_app(NOT_OURS)) as running:
        template = running._bundle.templates[0]
        environments = {(await running.invoke("leaves")).report.environment_id for _ in range(2)}
        await until(lambda: not running.pool.statistics()["dying"])
        assert len(environments) == 2
        assert running._bundle.templates[0] is template
        pids = [int(path.name) for path in (tmp_path / "theirs").iterdir()]
        assert all(map(runs, pids))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


async def test_what_cannot_be_forked_is_not_provisioned_again_at_once(write_app, tmp_path):
    async with run_target(write_app(NO_FORK)) as running:
        idle, templates = running.pool._lanes["warm"].idle, running.pool._lanes["warm"].templates
        await until(lambda: idle and templates.spare and templates.spare.pid)
        (tmp_path / "full").touch()
        first = idle[0].pid
        os.kill(first, signal.SIGKILL)  # The spare takes its place, and there is no other spare.
        await until(lambda: (tmp_path / "log").exists() and idle and idle[0].pid != first)
        os.kill(idle[0].pid, signal.SIGKILL)
        await until(lambda: (tmp_path / "log").read_text().count("refused") > 1)
        with anyio.move_on_after(0.3):  # For so long there is nothing more to see.
            while (tmp_path / "log").read_text().count("refused") < 5:
                await anyio.sleep(0.002)
        assert (tmp_path / "log").read_text().count("refused") < 5
