"""Memory of processes: what they have resident, what they share, and the limit over all of them."""

from __future__ import annotations

import itertools
import os
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from facts import until

from fnframe import ConfigurationError
from fnframe.environment import memory
from fnframe.environment.children import Children
from fnframe.runtime.run import run_target

APP = str(Path(__file__).parent.parent / "apps" / "behaviours.py")
MEASURED = str(Path(__file__).parents[2] / "bench" / "apps" / "memory.py")
MB = 1024

HOLDS = r"""
import os, sys, threading
held = bytearray(int(sys.argv[1]) * 2**20)
for start in range(0, len(held), 4096):
    held[start] = 1
children = []
def fork():
    pid = os.fork()
    if pid == 0:
        own = bytearray(b"x" * (5 * 2**20))
        os.write(1, b"ready\n")
        sys.stdin.read()
        os._exit(0)
    children.append(pid)
fork()
thread = threading.Thread(target=fork)
thread.start()
thread.join()
os.write(1, f"{children[0]} {children[1]}\n".encode())
sys.stdin.read()
"""


@pytest.fixture
def holder():
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, "50"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline() for _ in range(3)]
    yield process.pid, [int(pid) for line in lines if line != "ready\n" for pid in line.split()]
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def test_descendants_are_found_under_whichever_thread_forked_them(holder):
    pid, children = holder
    assert len(children) == 2
    assert sorted(memory.descendants(pid)) == sorted(children)


FORKS = """
import os, signal, sys
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        signal.pause()
print("forked", flush=True)
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""


def test_more_children_than_the_system_lists_in_one_piece():
    """It gives a page at a time: what came after the first 600 was seen by nobody."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    forks = subprocess.Popen([sys.executable, "-IS", "-c", FORKS, "900"], process_group=0, **pipes)
    forks.stdout.readline()
    assert len(list(memory.descendants(forks.pid))) == 900
    forks.communicate()


def looked_at(children: Children, most: int, now: float = 0.0) -> int:
    """What they use when a close look that is under way is over, in KB."""
    kb = children.kb(now, most)
    while children._close is not None:
        time.sleep(0.001)
        kb = children.kb(now, most)
    return kb


def test_what_a_fork_shares_counts_once(holder):
    pid, children = holder
    assert resident_kb(pid) >= 50 * MB
    assert all(resident_kb(child) >= 50 * MB for child in children), "what it shares is resident in it too"
    assert all(5 * MB <= memory.private_kb(child) < 12 * MB for child in children)
    assert 9 * MB <= looked_at(Children(pid), 1000 * MB) < 24 * MB


def test_a_process_that_is_gone_has_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert list(memory.descendants(process.pid)) == []
    assert memory.look_at(process.pid) == (0, 0, 0, 0, 0)
    assert memory.private_kb(process.pid) == 0
    assert memory.used(process.pid) is None


def resident_kb(pid: int) -> int:
    return memory.look_at(pid).resident_kb


def test_the_systems_word_from_outside_is_the_same_as_from_inside():
    held = bytearray(50 * 2**20)
    peak_kb, cpu_us = memory.used(os.getpid())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    assert resident_kb(os.getpid()) >= len(held) / 1024
    assert peak_kb == pytest.approx(usage.ru_maxrss, abs=2 * MB)
    times = os.times()
    whole = sum((usage.ru_utime, usage.ru_stime, times.children_user, times.children_system))
    assert cpu_us == pytest.approx(whole * 1e6, abs=30_000)


PUPPET = r"""
import mmap, os, sys
shared = mmap.mmap(-1, 40 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
def touch(block):
    for start in range(0, len(block), mmap.PAGESIZE):
        block[start] = block[start] + 1 & 0xff
touch(shared)
if os.fork():
    os.wait()
    os._exit(0)
held = []
print("ready", flush=True)
for word in sys.stdin:
    if word.strip() == "grow":
        held.append(mmap.mmap(-1, 30 * 2**20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        touch(held[-1])
    elif word.strip() == "copy":
        touch(shared)
    elif word.strip() == "free":
        held.clear()
    print("done", flush=True)
"""


@pytest.fixture
def puppet():
    """A process whose child does as it is told; the process id, and how to tell it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PUPPET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout.readline() == "ready\n"

    def tell(word):
        process.stdin.write(f"{word}\n")
        assert process.stdout.readline() == "done\n"

    yield process.pid, tell
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def test_what_a_child_gains_copies_and_gives_back_is_followed(puppet):
    pid, tell = puppet
    children, moments = Children(pid), itertools.count(1.0)

    def mb() -> float:
        return looked_at(children, 1000 * MB, next(moments)) / MB

    assert mb() < 3, "it shares 40 MB"
    begin = mb()
    tell("grow")
    assert mb() - begin == pytest.approx(30, abs=1)
    tell("copy")
    assert mb() - begin == pytest.approx(70, abs=1)
    tell("free")
    assert mb() - begin == pytest.approx(40, abs=1)


def test_what_a_new_child_may_have_is_looked_at_before_it_is_found_too_much(puppet):
    pid, tell = puppet
    tell("copy")
    assert Children(pid).kb(0.0, 1000 * MB) < 3 * MB, "all that its parent has as well may be shared"
    tell("grow")
    assert Children(pid).kb(0.0, 1000 * MB) == pytest.approx(30 * MB, abs=3 * MB)
    children = Children(pid)
    assert children.kb(0.0, 10 * MB) == 10 * MB, "no more than may be, as long as it is a guess"
    assert looked_at(children, 10 * MB) == pytest.approx(70 * MB, abs=3 * MB)


BORROWS = r"""
import os, sys
held = b"x" * (50 * 2**20)
# Opening a pipe that nobody writes to keeps the child from its exec.
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)])
os.wait()
"""


def test_memory_that_is_borrowed_until_exec_is_not_counted_twice(tmp_path, monkeypatch):
    """A program that is started runs in its parent's own memory for a moment: all of it looks like its own."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    holder = subprocess.Popen([sys.executable, "-c", BORROWS, pipe])
    while not (children := list(memory.descendants(holder.pid))):
        assert holder.poll() is None
    assert memory.private_kb(children[0]) > 50 * MB
    assert looked_at(Children(holder.pid), 1) == 0
    monkeypatch.setattr(memory, "KCMP", None)
    assert looked_at(Children(holder.pid), 1) == 0, "also where the system does not tell"
    pipe.write_bytes(b"")
    assert holder.wait(10) == 0


def busy(running) -> list:
    return [environment for environment in running.pool._live if environment.in_flight and environment.pid]


def counted_kb(running) -> int:
    """What was counted of the environment that is busy beyond its own process."""
    gauges = [(each.pid, each._gauge) for each in busy(running) if each._gauge is not None]
    return max((gauge.together_kb - resident_kb(pid) for pid, gauge in gauges), default=0)


def own_kb(running) -> list[int]:
    """What each child of the environment that is busy has for itself."""
    return [memory.private_kb(child) for each in busy(running) for child in memory.descendants(each.pid)]


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["fork", "program"])
async def test_the_limit_is_for_the_environment_with_its_children(how, tmp_path):
    async with run_target(APP) as running:
        outcome = await running.invoke("children_hold", [how, 3, 60, str(tmp_path / "never")])
        assert outcome.error_type == "Runtime.OutOfMemory"
        assert 128 < outcome.report.max_memory_used_mb < 400


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["fork", "program"])
async def test_the_childrens_part_is_in_the_report(how, tmp_path):
    gate = tmp_path / "gate"
    outcomes = []
    async with run_target(APP) as running, anyio.create_task_group() as tasks:

        async def invoke():
            outcomes.append(await running.invoke("children_hold", [how, 1, 60, str(gate)]))

        tasks.start_soon(invoke)
        await until(lambda: counted_kb(running) > 60 * MB)
        gate.touch()
    assert outcomes[0].unwrap() == "held"
    assert 60 < outcomes[0].report.max_memory_used_mb < 128


@pytest.mark.anyio
async def test_children_that_share_their_parents_memory_are_within_its_limit(tmp_path):
    gate = tmp_path / "gate"
    outcomes = []
    async with run_target(APP) as running, anyio.create_task_group() as tasks:

        async def invoke():
            outcomes.append(await running.invoke("forks_share", [70, str(gate)]))

        tasks.start_soon(invoke)
        await until(lambda: len(own_kb(running)) == 3)
        await until(lambda: counted_kb(running) > sum(own_kb(running)) / 2)  # At least two of them were looked at.
        gate.touch()
    assert outcomes[0].unwrap() == "shared"
    assert 70 < outcomes[0].report.max_memory_used_mb < 128


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("function", "method"), [("itself", "peak-rss-reset"), ("forked", "sampled"), ("program", "sampled")]
)
async def test_reports_agree_with_what_the_kernel_finds_in_the_pages(function, method):
    """A small version of bench/memory.py: each size after a larger one, in the same environment."""
    async with run_target(MEASURED) as running:
        for megabytes in (80, 20, 2):
            outcome = await running.invoke(function, megabytes)
            truth = outcome.unwrap() / 1024
            assert outcome.report.max_memory_used_mb == pytest.approx(truth, abs=max(2.0, 0.03 * megabytes))
            assert outcome.report.memory_method == method
            # Over what importing the app brought; another program brings something of its own.
            more = 2.5 if function != "program" else 10
            assert megabytes - 1 < truth - running.manifest.baseline_mb < megabytes + more


LARGE = """
import os
from fnframe import App

app = App("large")
ballast = b"x" * (int(os.environ.get("BALLAST", "0")) * 2**20)


@app.function()
def small():
    pass


@app.function(memory=256, variables={"BALLAST": "150"})
def large():
    pass
"""


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
async def test_the_baseline_of_each_function_is_what_one_uses_that_does_nothing(method, write_app):
    async with run_target(write_app(LARGE), settings={"start_method": method}) as running:
        assert running.manifest.baseline_of("large") - running.manifest.baseline_of("small") == pytest.approx(
            150, abs=3
        )
        for function in ("small", "large"):
            report = (await running.invoke(function)).report
            assert report.max_memory_used_mb == pytest.approx(running.manifest.baseline_of(function), abs=1)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_app_that_is_larger_than_a_functions_memory_is_refused_with_both_numbers(write_app):
    too_small = LARGE.replace("memory=256", "memory=160")
    with pytest.raises(
        ConfigurationError, match=r"'large' may use 160 MB, but importing the app takes 1\d\d MB already"
    ):
        async with run_target(write_app(too_small)):
            pass


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("where", ["leader", "child", "detached"])
@pytest.mark.parametrize("how", ["plain", "slow"])
async def test_allocation_without_end_is_ended(where, how, tmp_path):
    """How soon is measured in bench/memory.py; here the machine may be busy. Unlimited, it would get 3,000 MB."""
    async with run_target(MEASURED) as running:
        counts = tmp_path / "counts"
        outcome = await running.invoke("grows", [where, how, 1, str(counts)])
        assert (outcome.kind, outcome.error_type) == ("ended", "Runtime.OutOfMemory")
        await until(lambda: not running.pool.statistics()["dying"])
        assert struct.unpack("q", counts.read_bytes()[:8])[0] < 500
        assert 128 < outcome.report.max_memory_used_mb < 500
