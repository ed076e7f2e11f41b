"""What somebody can do who may write to the folder and means no good: it costs them their own files, and nobody else's.

Elsewhere: names that take long to match (test_files_pattern), links and exchanged directories under a reader's and a
writer's feet (test_files_bucket), more changes than the system remembers (test_files_storms), more directories than it
watches (test_files_limits).
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fnframe_files import Files

pytestmark = pytest.mark.anyio

BOTH = ("created", "removed")


@pytest.fixture(params=[None, 0.01], ids=["inotify", "polling"])
def mapping(request: pytest.FixtureRequest, kit: Any, tmp_path: Path) -> Any:
    return kit.Recorder(Files("uploads", events=BOTH, settle=0.02, poll=request.param), tmp_path)


@pytest.fixture
def fence(kit: Any, mapping: Any, uploads: Path) -> Any:
    return kit.Fence(mapping, uploads)


@contextmanager
def hostile(script: str, *arguments: object) -> Iterator[None]:
    """Somebody at work, until the block is left; begins with it when they have begun."""
    command = [sys.executable, "-c", f"import ctypes, os, sys\n{script}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            assert process.poll() is None, "it should have gone on"
            process.kill()


EXCHANGE = """
one, other = map(os.fsencode, sys.argv[1:])
print(flush=True)
while not ctypes.CDLL(None).renameat2(-100, one, -100, other, 2):
    pass
"""


async def test_a_directory_that_turns_into_a_link_shows_nothing_of_where_it_leads(
    kit: Any, mapping: Any, uploads: Path, fence: Any
) -> None:
    secret = uploads.parent / "secret" / "deep"
    secret.mkdir(parents=True)
    mine = uploads / "way" / "deep"
    mine.mkdir(parents=True)
    (uploads / "link").symlink_to(secret.parent)
    for number in range(20):
        (mine / f"mine-{number}").write_text("mine")
        (mine / f"both-{number}").write_text("mine")
        (secret / f"secret-{number}").write_text("secret")
        (secret / f"both-{number}").write_text("secret")
    async with kit.serving(mapping):
        with hostile(EXCHANGE, uploads / "way", uploads / "link"):
            for number in range(20, 28):
                (secret / f"secret-{number}").write_text("secret")
                await fence()
    assert {f"mine-{number}" for number in range(20)} <= {key.rpartition("/")[2] for key in mapping.created}
    assert [found for found in mapping.objects if found.size == len("secret")] == []


async def test_a_tree_that_is_deeper_than_a_path_may_be_long(
    kit: Any, mapping: Any, uploads: Path, fence: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def dig(levels: int, name: str) -> None:
        """Go down by relative paths, and leave a file at the bottom."""
        way = os.open(uploads, os.O_DIRECTORY)
        for _ in range(levels):
            try:
                os.mkdir("d" * 50, dir_fd=way)
            except FileExistsError:
                pass
            inner = os.open("d" * 50, os.O_DIRECTORY, dir_fd=way)
            os.close(way)
            way = inner
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=way))
        os.close(way)

    dig(70, "deep")
    async with kit.serving(mapping):
        await kit.until(lambda: mapping.created == ["d" * 50 + ("/" + "d" * 50) * 69 + "/deep"])
        with caplog.at_level(logging.WARNING):
            dig(200, "too-deep")
            (uploads / "a").write_text("x")
            await kit.until(lambda: "a" in mapping.created)
            await fence()
        assert mapping.objects[0].read() == b""
    assert not [key for key in mapping.created if key.endswith("too-deep")]
    again = kit.Recorder(Files("uploads"), uploads.parent)
    async with kit.serving(again):
        assert len(again.created) == 3
    assert "File name too long" in caplog.text
    subprocess.run(["rm", "-r", uploads / ("d" * 50)], check=True)


async def test_times_of_long_ago_and_of_the_future(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    moments = [-(2**31), -1, 0, 2**31, 2**33]
    async with kit.serving(mapping):
        for number, moment in enumerate(moments):
            (uploads / f"{number}").write_text("x")
            os.utime(uploads / f"{number}", (moment, moment))
        await kit.until(lambda: {"0", "1", "2", "3", "4"} <= set(mapping.created))
        (uploads / "4").write_text("xy")
        await kit.until(lambda: mapping.created.count("4") >= 2)
        await fence()
        assert {found.read() for found in mapping.objects if found.key in "0123"} == {b"x"}
        assert mapping.objects[-2].read() == b"xy"


async def test_names_of_all_kinds(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    names = [
        b"\x1b[2J",
        b"a\nb",
        b"a\rb",
        b"\x01" * 255,
        b"%2F..%2F",
        b"\xed\xa0\x80",
        b"\xff" * 255,
        b"-rf",
        b"$(x)`x`",
    ]
    async with kit.serving(mapping):
        for name in names:
            Path(os.fsdecode(os.fsencode(uploads) + b"/" + name)).write_bytes(name)
        await kit.until(lambda: len(mapping.created) == len(names))
        assert {found.read() for found in mapping.objects} == set(names)
        assert {found.path.read_bytes() for found in mapping.objects} == set(names)


async def test_what_is_no_file(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    """Nobody who waits at the other end of a pipe is woken by a look at it."""
    opened = threading.Event()

    os.mkfifo(uploads / "pipe")
    pipe = os.open(uploads / "pipe", os.O_PATH)

    def wait_for_a_reader() -> None:
        os.close(os.open(f"/proc/self/fd/{pipe}", os.O_WRONLY))  # Whatever its name is when this thread gets to it.
        opened.set()

    waiting = threading.Thread(target=wait_for_a_reader)
    waiting.start()
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(uploads, os.O_PATH)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        async with kit.serving(mapping):
            (uploads / "file").write_text("x")
            (uploads / "pipe").rename(uploads / "renamed")
            (uploads / "renamed").rename(uploads / "pipe")
            await kit.until(lambda: mapping.created == ["file"])
            (uploads / "file").unlink()
            os.mkfifo(uploads / "file")
            await kit.until(lambda: mapping.removed == ["file"])
            await fence()
    assert not opened.is_set()
    os.close(os.open(uploads / "pipe", os.O_RDONLY))
    waiting.join()
    os.close(pipe)


async def test_a_lease_of_somebody_else_holds_nobody_up(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    """Who opens a file that is leased for writing waits until the lease is broken: 45 seconds, if its holder sleeps."""
    (uploads / "leased").write_text("x")
    with (uploads / "leased").open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_SETSIG, 23)  # SIGURG, which is ignored.
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with anyio.fail_after(10):
            async with kit.serving(mapping):
                await fence()
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


async def test_forged_notes(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    """At the most they hide the forger's own files from a function."""
    outside = uploads.parent / "outside"
    outside.mkdir()
    notes = uploads / ".fnframe-notes"
    async with kit.serving(mapping):
        for make in (
            lambda: notes.symlink_to(outside),
            lambda: notes.write_text("x"),
            lambda: os.mkfifo(notes),
            lambda: notes.symlink_to("/dev/zero"),
        ):
            make()
            await fence()
            with pytest.raises(OSError, match=r"directory|symbolic"):
                mapping.objects[0].bucket.put("mine", b"x")
            notes.unlink()
        notes.mkdir()
        mapping.objects[0].bucket.put("mine", b"x")
        await fence()
        assert "mine" not in mapping.created
        (note,) = notes.iterdir()
        for data in (b"", b"{", b"[" * 10_000, b'{"function": 1}', b"\xff"):
            (uploads / "part").write_text("other")
            note.write_bytes(data)
            await fence()
    assert list(outside.iterdir()) == []
    assert not [key for key in mapping.created if key.startswith(".fnframe")]


STORM = """
folder = sys.argv[1]
open(f"{folder}/.1", "w")
print(flush=True)
while True:
    os.rename(f"{folder}/.1", f"{folder}/.2")
    os.rename(f"{folder}/.2", f"{folder}/.1")
"""


async def test_a_storm_that_does_not_end(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    """The queue overflows again and again; files are told of all the same, and others in the event loop run."""
    for number in range(300):
        (uploads / f"{number}").write_text("x")
    turns = 0

    async def live() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.001)
            turns += 1

    async with kit.serving(mapping), anyio.create_task_group() as tasks:
        tasks.start_soon(live)
        with hostile(STORM, uploads):
            for _ in range(30):
                before = turns
                await fence()
                await kit.until(lambda before=before: turns > before)
        tasks.cancel_scope.cancel()
    assert len(mapping.created) == 330
    assert len(set(mapping.created)) == 330


SEESAW = """
os.chdir(sys.argv[1])
print(flush=True)
while True:
    os.rename("tree", "eert")
    os.rename("eert", "tree")
"""


async def test_a_tree_that_is_renamed_without_end(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    for number in range(50):
        (uploads / "tree" / str(number)).mkdir(parents=True)
        (uploads / "tree" / str(number) / "a").write_text("x")
    async with kit.serving(mapping):
        with hostile(SEESAW, uploads):
            for _ in range(3):
                await fence()
        (name,) = (path.name for path in uploads.iterdir() if path.is_dir())
        await kit.until(lambda: _told(mapping) == {f"{name}/{number}/a" for number in range(50)})
        (uploads / name / "7" / "b").write_text("x")
        await kit.until(lambda: f"{name}/7/b" in mapping.created)


def _told(mapping: Any) -> set[str]:
    """What somebody believes to be there who believes the events, but for the fences."""
    last = {found.key: type(found).__name__ for found in mapping.objects}
    return {key for key, kind in last.items() if kind == "ObjectCreated" and not key.startswith("fence")}


REWRITE = """
print(flush=True)
number = 0
while True:
    number += 1
    with open(sys.argv[1], "w") as file:
        file.write("x" * (number % 1000))
"""


async def test_a_file_that_is_rewritten_without_end(kit: Any, uploads: Path) -> None:
    """Of what a full queue cannot take, the last version waits, and no more."""
    mapping = kit.Recorder(Files("uploads"), uploads.parent)
    fence = kit.Fence(mapping, uploads)
    async with kit.serving(mapping):
        with hostile(REWRITE, uploads / "a"):
            for _ in range(10):
                await fence()
            mapping.bound = len(mapping.events)
            refused = mapping.refused
            await kit.until(lambda: mapping.refused > refused + 3)
            full = len(mapping.events)
        mapping.bound = 1_000_000
        await kit.until(
            lambda: mapping.objects[-1].key == "a" and mapping.objects[-1].etag == kit.etag_of(uploads / "a")
        )
    assert len(mapping.events) <= full + 2


@pytest.fixture
def as_nobody(uploads: Path) -> Iterator[Path]:
    """This process is somebody else's than the owner of the folder, who is root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    for folder in (uploads, *list(uploads.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        yield uploads
    finally:
        os.seteuid(0)


@contextmanager
def root() -> Iterator[None]:
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(65534)


async def test_what_may_not_be_read(kit: Any, mapping: Any, as_nobody: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file is told of, for who asks may be somebody else; a directory is looked into when that is allowed."""
    uploads = as_nobody
    with caplog.at_level(logging.WARNING):
        async with kit.serving(mapping):
            with root():
                (uploads / "a.part").write_text("x")
                (uploads / "a.part").chmod(0o000)
                (uploads / "a.part").rename(uploads / "a")
                (uploads / "shut").mkdir(mode=0o700)
                (uploads / "shut" / "b").write_text("x")
                (uploads / "c").write_text("x")
            await kit.until(lambda: sorted(mapping.created) == ["a", "c"])
            with pytest.raises(PermissionError):
                next(found for found in mapping.objects if found.key == "a").read()
            await kit.until(lambda: "cannot be looked into" in caplog.text)
            with root():
                (uploads / "shut").chmod(0o755)
            await kit.until(lambda: sorted(mapping.created) == ["a", "c", "shut/b"])
            with root():
                (uploads / "shut").chmod(0o700)
                (uploads / "c").unlink()
            await kit.until(lambda: mapping.removed == ["c"])
    assert f"1 directories cannot be looked into, so their files are not seen, such as '{uploads}/shut'" in caplog.text
