"""What a killed template or a killed host leaves: nothing, at the latest when the next host starts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import pytest
from facts import runs, until

from fnframe.environment import orphans
from fnframe.environment.orphans import LOCK, Root, sweep_abandoned
from fnframe.environment.slot import remove
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
APP = str(Path(__file__).parent.parent / "apps" / "behaviours.py")

HOST = """
import sys
import anyio
from fnframe.runtime.run import run_target

async def main():
    app, path = sys.argv[1:]
    async with run_target(app) as running:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.invoke, "detaches", path)
            info = (await running.invoke("pid")).unwrap()
            template = running._bundle.templates[0]._process.pid
            print(template, info["pid"], running.pool._root, flush=True)
            await anyio.sleep_forever()

anyio.run(main)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where hosts make their folders, alone with the test."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def detached(path: Path) -> list[int]:
    await until(path.exists)
    return [int(pid) for pid in path.read_text().split()]


async def gone(pids: list[int]) -> None:
    await until(lambda: not any(map(runs, pids)))


def template_of(running) -> int:
    return running._bundle.templates[0]._process.pid


async def test_a_template_that_is_killed_leaves_nothing(tmp_path):
    outcomes = []
    async with run_target(APP) as running, anyio.create_task_group() as tasks:

        async def invoke():
            outcomes.append(await running.invoke("detaches", str(tmp_path / "pids")))

        tasks.start_soon(invoke)
        info = (await running.invoke("pid")).unwrap()
        pids = await detached(tmp_path / "pids")
        os.kill(template_of(running), signal.SIGKILL)
        await gone([info["pid"], *pids])
        assert (await running.invoke("pid")).unwrap()["pid"] != info["pid"]
    assert outcomes[0].error_type == "Runtime.ExitError"
    assert outcomes[0].message.endswith("its exit status is not known, since the template ended with it")


async def test_a_host_that_is_killed_leaves_nothing(tmp_path, folder):
    with host(tmp_path) as (process, template, environment, _):
        pids = await detached(tmp_path / "pids")
        process.kill()
        await gone([template, environment, *pids])


async def test_what_a_host_leaves_that_is_killed_with_its_template_is_swept_by_the_next(tmp_path, folder):
    with host(tmp_path) as (process, template, environment, root):
        pids = await detached(tmp_path / "pids")
        os.kill(template, signal.SIGSTOP)  # So that it cannot sweep when its host is gone.
        process.kill()
        process.wait()
        os.kill(template, signal.SIGKILL)
        await gone([environment])
        assert runs(pids[1]), "what left the session"
        assert root.exists()
        async with run_target(APP):
            await gone(pids)
            await until(lambda: not root.exists())


async def test_a_host_that_is_killed_while_its_template_is_stopped(tmp_path, folder):
    with host(tmp_path) as (process, template, environment, root):
        pids = await detached(tmp_path / "pids")
        os.kill(template, signal.SIGSTOP)
        process.kill()
        process.wait()
        async with run_target(APP):
            await gone([template, environment, *pids])
            await until(lambda: not root.exists())


class host:
    """Another process that is a host; its process, its template, an idle environment, its folder."""

    def __init__(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", HOST, APP, str(tmp_path / "pids")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        template, environment, root = self.process.stdout.readline().split()
        return self.process, int(template), int(environment), Path(root)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


async def test_only_what_a_dead_host_made_is_swept(folder):
    """Not the folder of a host that lives, nor what only has such a name."""
    living, dead = Root(), Root()
    os.close(dead._lock)
    (dead.path / "slot-x").mkdir()
    project = folder / "fnframe-examples"
    (project / "app").mkdir(parents=True)
    linked = folder / "fnframe-linked"
    linked.mkdir()
    (folder / "victim").touch()
    (linked / LOCK).symlink_to(folder / "victim")
    sweep_abandoned()
    assert sorted(folder.iterdir()) == sorted([living.path, project, linked, folder / "victim"])
    living.remove()


async def test_a_folder_whose_removal_was_interrupted_is_removed_by_the_next_host(folder, monkeypatch):
    """The lock went with the rest, in any order, and without it nobody knew what the folder was."""
    dead = Root()
    (dead.path / "slot-x").mkdir()
    os.close(dead._lock)

    def interrupted(*paths):
        remove(*paths)
        raise KeyboardInterrupt

    monkeypatch.setattr(orphans, "remove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep_abandoned()
    assert [path.name for path in dead.path.iterdir()] == [LOCK]
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    sweep_abandoned()
    assert not dead.path.exists()


UNDYING = """
import ctypes
import os
import signal
import time
from pathlib import Path

from fnframe import App

app = App("undying")


@app.function(timeout=30.0)
def undying():
    ctypes.CDLL(None).prctl(1, 0)  # PR_SET_PDEATHSIG: it does not end with its parent any more.
    Path(__file__).with_name("pid").write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


@app.function()
def works():
    return "works"
"""


async def test_a_handler_that_kills_its_template_and_would_not_die_with_it(write_app, tmp_path):
    async with run_target(write_app(UNDYING)) as running:
        outcome = await running.invoke("undying")
        assert outcome.error_type == "Runtime.ExitError"
        await gone([int((tmp_path / "pid").read_text())])
        assert (await running.invoke("works")).unwrap() == "works"


async def test_an_import_that_fails_leaves_nothing(write_app, tmp_path):
    source = """
import subprocess
from pathlib import Path
Path(__file__).with_name("pid").write_text(str(subprocess.Popen(["sleep", "600"], start_new_session=True).pid))
raise ValueError("no way")
"""
    with pytest.raises(Exception, match="no way"):
        async with run_target(write_app(source)):
            pass
    await gone([int((tmp_path / "pid").read_text())])


async def test_a_template_that_somebody_stopped_is_told_to_go_on(caplog):
    """It would be missed only when all that is owed had timed out: births after ten seconds, deaths after two."""
    async with run_target(APP) as running:
        await running.invoke("pid")
        await until(lambda: all(environment.pid for environment in running.pool._live))
        os.kill(template_of(running), signal.SIGSTOP)
        with anyio.fail_after(8):
            # There is a spare: the second needs a birth, and so its death is told.
            for _ in range(2):
                assert (await running.invoke("exits", 3)).message.endswith("exit status 3")
    assert "was stopped; it is told to go on" in caplog.text


async def test_a_thread_that_allocates_between_invocations_ends_its_environment(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "fnframe")
    async with run_target(APP) as running:
        outcome = await running.invoke("leaves_thread", str(tmp_path / "gate"))
        assert outcome.unwrap() is None
        await until(lambda: running.pool.is_asleep)
        (tmp_path / "gate").touch()
        environment = next(each for each in running.pool._live if each.id == outcome.report.environment_id)
        await until(lambda: environment not in running.pool._live)
        assert environment.reason == "memory"
        assert "an idle environment of function 'leaves_thread' passed its memory" in caplog.text
        again = await running.invoke("leaves_thread", str(tmp_path / "never"))
        assert again.report.environment_id != outcome.report.environment_id
