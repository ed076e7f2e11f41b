"""What an environment begins with, whatever its host is like; and what a handler changes of its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fnframe.runtime.run import run_target

APP = str(Path(__file__).parent.parent / "apps" / "clean.py")

DIRTY_HOST = """
import fcntl, json, os, signal, sys, termios
import anyio
from fnframe.runtime.run import run_target

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, signal.SIGUSR2])
os.set_inheritable(os.open("/dev/zero", os.O_RDONLY), True)
os.umask(0o027)

async def main():
    async with run_target(sys.argv[1], settings={"start_method": sys.argv[2]}) as running:
        return (await running.invoke("state")).unwrap()

print(json.dumps(anyio.run(main)))
"""


@pytest.fixture
def dirty(request):
    """What a handler finds whose host ignores and blocks signals, and has a terminal and open descriptors."""
    controller, terminal = os.openpty()

    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    host = subprocess.run(
        [sys.executable, "-c", DIRTY_HOST, APP, request.param],
        stdin=terminal,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=few_descriptors,
        timeout=30,
        check=True,
    )
    os.close(controller)
    os.close(terminal)
    return json.loads(host.stdout)


@pytest.mark.parametrize("dirty", ["fork", "spawn"], indirect=True)
def test_what_a_host_is_like_is_not_handed_down(dirty):
    assert dirty["ignored"] == sorted([signal.SIGPIPE, signal.SIGXFSZ]), "as Python itself does"
    assert dirty["blocked"] == []
    assert dirty["terminal"] is None
    assert dirty["session"] == dirty["group"] == dirty["pid"]
    opened = dirty["descriptors"]
    assert opened["0"] == "/dev/null"
    assert opened["1"] == opened["2"]
    assert sorted(text.split(":")[0] for number, text in opened.items() if int(number) > 2) == [
        f"/proc/{dirty['pid']}/clear_refs",
        "socket",
    ]
    assert dirty["inheritable"] == [], "programs that it starts get none of them"
    assert dirty["limits"]["descriptors"] == 300
    assert dirty["limits"]["core"] == 0
    assert dirty["limits"]["file size"] == 512 * 2**20
    assert dirty["score"] == 1000
    assert dirty["scheduled"] == [os.SCHED_BATCH, min(os.nice(0) + 5, 19)]
    assert dirty["umask"] == 0o027, "this and the folder are the host's"
    assert dirty["folder"] == str(Path.cwd())
    assert dirty["temporary"] == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_handler_changes_stays_in_its_environment(tmp_path):
    """As in Lambda: the next invocation there finds it, and no other environment does."""
    async with run_target(APP) as running:
        clean = (await running.invoke("state")).unwrap()
        changed = await running.invoke("changes", str(tmp_path))
        again = await running.invoke("changes", None)
        assert again.report.environment_id == changed.report.environment_id
        found = again.unwrap()
        assert (found["folder"], found["umask"], found["variable"]) == (str(tmp_path), 0o077, "changed")
        assert found["blocked"] == [signal.SIGUSR1]
        assert signal.SIGUSR2 in found["ignored"]
        assert found["limits"]["descriptors"] == 64
        assert found["temporary"] == ["left"]
        for function in ("state", "other"):
            other = (await running.invoke(function)).unwrap()
            own = {"pid", "group", "session", "descriptors"}
            assert {k: v for k, v in other.items() if k not in own} == {k: v for k, v in clean.items() if k not in own}
