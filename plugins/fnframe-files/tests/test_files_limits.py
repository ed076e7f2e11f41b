"""What the system's limits look like to a user."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from fnframe_files.notifier import Notifier

from fnframe import ConfigurationError

LIMITS = Path("/proc/sys/fs/inotify")

pytestmark = pytest.mark.skipif(not LIMITS.exists(), reason="inotify is Linux's")

# In a user's namespace of its own, a process can lower the limits for itself without hindering anybody.
SERVE = """
import anyio, sys
from pathlib import Path
from fnframe import ConfigurationError, Function
from fnframe_files import Files

Path("/proc/sys/user", sys.argv[1]).write_text("3")

class State:
    async def items(self):
        return []

class Mapping:
    trigger, settings, directory, state = Files("uploads"), Files.Settings(), Path(sys.argv[2]), State()
    function = Function(name="f", where="test")

async def serve():
    mappings = [Mapping()]
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            await tasks.start(run_all, mappings)

async def run_all(mappings, *, task_status):
    await Files.run_all(mappings, task_status=task_status)

try:
    anyio.run(serve)
except* ConfigurationError as group:
    print(group.exceptions[0])
"""


@pytest.mark.parametrize(
    ("limited", "setting"),
    [("max_inotify_instances", "max_user_instances"), ("max_inotify_watches", "max_user_watches")],
)
def test_a_limit_that_is_reached_is_named(uploads: Path, limited: str, setting: str) -> None:
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, to lower a limit for itself only")
    for name in "abcd":
        (uploads / name).mkdir()
    command = ["unshare", "-Ur", sys.executable, "-c", SERVE, limited, str(uploads.parent)]
    text = subprocess.check_output(command, text=True)
    assert f"fs.inotify.{setting} is {int((LIMITS / setting).read_text()):,} for all programs of this user" in text
    assert "Files(..., poll=5)" in text


MANY = """
import anyio, logging, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Files, Recorder, serving, until
from fnframe_files import watcher

watcher.SHORT = 0.05
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
uploads = Path(sys.argv[2], "uploads")
limit = Path("/proc/sys/user/max_inotify_watches")
limit.write_text("10")


async def main():
    mapping = Recorder(Files("uploads"), uploads.parent)
    async with serving(mapping):
        for number in range(30):
            (uploads / str(number)).mkdir()
        (uploads / "0" / "a").write_text("x")
        (uploads / "29" / "a").write_text("x")
        await until(lambda: sorted(mapping.created) == ["0/a", "29/a"])
        (uploads / "0" / "b").write_text("x")
        (uploads / "29" / "b").write_text("x")
        await until(lambda: len(mapping.created) == 4)
        limit.write_text("1000")
        await until(lambda: watches() == 31)
        (uploads / "29" / "c").write_text("x")
        await until(lambda: len(mapping.created) == 5)


def watches():
    return sum(path.read_text().count("inotify wd") for path in Path("/proc/self/fdinfo").iterdir() if path.exists())


anyio.run(main)
"""


def test_a_limit_that_is_reached_later_costs_time_and_not_the_app(uploads: Path) -> None:
    """Whoever may make directories could end the app otherwise."""
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, to lower a limit for itself only")
    command = ["unshare", "-Ur", sys.executable, "-c", MANY, str(Path(__file__).parent), str(uploads.parent)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ERROR", "INFO"], run.stdout
    assert "fs.inotify.max_user_watches is" in lines[0]
    assert lines[0].endswith("Until then all are looked through regularly")
    assert lines[1] == "INFO all directories are watched again"


def test_no_more_open_files() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(ConfigurationError, match="Too many open files: see `ulimit -n`"):
            Notifier([])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
