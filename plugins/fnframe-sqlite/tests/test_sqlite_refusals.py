"""A file that cannot be used: what is said, and that nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import anyio
import apsw
import pytest
from facts import until
from fnframe_sqlite import records

from fnframe import ConfigurationError, EngineFailed
from fnframe.engine.protocol import Message

pytestmark = pytest.mark.anyio

PROGRAMS = Path(__file__).parent / "programs"


async def refusal(engine):
    with pytest.raises(ConfigurationError) as caught:
        async with engine:
            pass
    return str(caught.value)


def run(name, *arguments):
    command = [sys.executable, str(PROGRAMS / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def fill(make):
    async with make() as engine:
        await engine.queue("q").send([Message(str(number), b"x" * 300) for number in range(200)])


def test_a_folder_that_may_not_be_written(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    told = run("without_rights", folder)
    assert told.startswith(f"ConfigurationError {folder}/engine.db: the engine's folder {folder} cannot be written (")
    assert 'give the process a folder that it may write, or name another engine (`engine = "memory:"`)' in told
    assert list(folder.iterdir()) == []


def test_a_full_disk_refuses_and_goes_on_when_there_is_space(tmp_path):
    lines = run("without_space", tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == ["full", "full", "full", "went"]
    for line in lines[:3]:
        assert "there is no space left for the engine's file" in line
        assert (
            "nothing of this was kept, and what was accepted before is safe; make space, then everything goes on"
            in line
        )
    assert list((tmp_path / "engine.db.d" / "bodies").iterdir()) == []


async def test_a_database_that_another_program_locks(make, tmp_path, program, monkeypatch):
    monkeypatch.setattr("fnframe_sqlite.database.PATIENCE", 0.2)
    words = "another program has kept the engine's file locked for"
    async with make() as engine:
        queue = engine.queue("q")
        await queue.send([Message("a", b"")])
        holder = program("holder")
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(EngineFailed, match=words) as caught:
            await queue.send([Message("b", b"")])
        assert caught.value.where == str(tmp_path / "engine.db")
        assert "end its transaction" in str(caught.value)
        assert (await queue.statistics()).waiting == 1, "reading waits for nobody"
        holder.stdin.close()
        holder.wait()
        assert await queue.send([Message("b", b"")]) == [True]
        (first, second) = await queue.receive(2, 30)
        assert (first.message.id, second.message.id) == ("a", "b")


async def test_a_database_that_another_program_locks_at_the_start(make, program, monkeypatch):
    await fill(make)
    monkeypatch.setattr("fnframe_sqlite.database.PATIENCE", 0.2)
    holder = program("holder")
    assert holder.stdout.readline() == "locked\n"
    async with make() as engine:  # It can be opened, and read.
        assert (await engine.queue("q").statistics()).waiting == 200


async def test_who_waits_gets_what_is_there_when_the_lock_is_gone(make, program, monkeypatch, caplog):
    """What failed while nobody asked for it, a look for those who wait, is tried again."""
    monkeypatch.setattr("fnframe_sqlite.database.PATIENCE", 0.05)
    monkeypatch.setattr("fnframe_sqlite.writer.LOOK", 0.05)
    async with make() as engine:
        queue = engine.queue("q")
        await queue.send([Message("a", b"")])
        got = []

        async def receive():
            got.extend(await queue.receive(1, 30))

        holder = program("holder")
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(EngineFailed):
            await queue.receive(1, 30)
        holder.stdin.close()
        holder.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
        assert [lease.message.id for lease in got] == ["a"]


@pytest.mark.parametrize("content", [b"no database at all, but long enough for a header " * 40, b"\x00" * 5000])
async def test_no_database_at_all(make, tmp_path, content):
    (tmp_path / "engine.db").write_bytes(content)
    told = await refusal(make())
    assert "this is no SQLite database: name another file for the engine, or remove this one" in told
    assert told.startswith(str(tmp_path / "engine.db"))
    assert (tmp_path / "engine.db").read_bytes() == content


async def test_a_database_of_another_program(make, tmp_path):
    with apsw.Connection(str(tmp_path / "engine.db")) as connection:
        connection.execute("CREATE TABLE users (name)")
    assert "this is a database of another program: name a file of its own for the engine" in await refusal(make())


async def test_a_database_of_a_newer_version(make, tmp_path):
    await fill(make)
    apsw.Connection(str(tmp_path / "engine.db")).execute("PRAGMA user_version = 99")
    told = await refusal(make())
    assert "was written by a newer fnframe-sqlite (its version 99, ours 1): install that, or name another file" in told


async def test_a_damaged_database(make, tmp_path):
    await fill(make)
    file = tmp_path / "engine.db"
    content = bytearray(file.read_bytes())
    content[4096 * 4 :] = b"\xff" * len(content[4096 * 4 :])
    file.write_bytes(content)
    told = await refusal(make())
    assert "the engine's file is damaged (" in told
    assert "`sqlite3 FILE .recover`" in told
    assert file.read_bytes() == content


async def test_a_database_that_is_damaged_while_it_is_used(make, tmp_path, monkeypatch):
    monkeypatch.setattr("fnframe_sqlite.database.CHECKED", 0)
    await fill(make)
    file = tmp_path / "engine.db"
    with apsw.Connection(str(file)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'message'").get
    content = bytearray(file.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\xff" * 4096
    file.write_bytes(content)
    async with make() as engine:
        with pytest.raises(EngineFailed, match="the engine's file is damaged"):
            for number in range(1000, 1100):
                await engine.queue("q").send([Message(str(number), b"x" * 300)])


async def test_a_folder_in_the_place_of_the_file(make, tmp_path):
    (tmp_path / "engine.db").mkdir()
    assert "the engine's file is a folder: name a file" in await refusal(make())


async def test_a_file_in_the_place_of_the_folder(make, tmp_path):
    (tmp_path / "folder").touch()
    assert "cannot be written (" in await refusal(make("sqlite:///folder/engine.db"))


async def test_a_file_that_is_removed_while_it_is_used(make, tmp_path):
    with pytest.raises(BaseExceptionGroup) as caught:
        async with make() as engine:
            await engine.queue("q").send([Message("a", b"")])
            (tmp_path / "engine.db").unlink()
            with pytest.raises(EngineFailed, match="was removed or replaced while it was in use"):
                await engine.queue("q").send([Message("b", b"")])
            await anyio.sleep_forever()
    assert caught.group_contains(EngineFailed, match="what it held is lost with it; start anew")


async def test_an_empty_file_is_a_new_one(make, tmp_path):
    (tmp_path / "engine.db").touch()
    await fill(make)


async def test_only_its_owner_may_read_the_file(make, tmp_path):
    async with make() as engine:
        await engine.queue("q").send([Message("large", b"x" * 100_000)])
        found = [*tmp_path.iterdir(), *(tmp_path / "engine.db.d").rglob("*")]
        assert len(found) >= 8
        assert [path.name for path in found if path.stat().st_mode & 0o077 and path.is_file()] == []
        assert (tmp_path / "engine.db.d").stat().st_mode & 0o077 == 0


async def test_what_is_asked_after_the_end_says_so(make):
    async with make() as engine:
        queue = engine.queue("q")
    with pytest.raises(EngineFailed, match="the engine was closed"):
        await queue.send([Message("a", b"")])


async def test_who_gives_up_while_it_is_opened_leaves_nothing(make, monkeypatch):
    """Somebody presses Ctrl-C at the start, or a start has a time limit."""
    begun, go = threading.Event(), threading.Event()
    know_partitions = records.know_partitions

    def slow(tx):
        begun.set()
        go.wait()
        know_partitions(tx)

    monkeypatch.setattr(records, "know_partitions", slow)
    async with anyio.create_task_group() as tasks:

        async def give_up():
            await until(begun.is_set)
            scope.cancel()
            go.set()

        with anyio.CancelScope() as scope:
            tasks.start_soon(give_up)
            async with make():
                pytest.fail("it was given up")
    assert scope.cancelled_caught
    await until(lambda: not any(thread.name.startswith("fnframe-sqlite") for thread in threading.enumerate()))
    await fill(make)
