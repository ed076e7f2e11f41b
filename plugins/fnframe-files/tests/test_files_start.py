"""What lay there at the start, and what is remembered from one run to the next."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from fnframe_files import Files
from fnframe_files.agenda import Agenda
from fnframe_files.ledger import Ledger
from fnframe_files.scanner import Scanner

from fnframe import ConfigurationError, EngineFailed, FunctionNotFound

pytestmark = pytest.mark.anyio

BOTH = ("created", "removed")


@pytest.fixture(params=[None, 0.01], ids=["inotify", "polling"])
def trigger(request: pytest.FixtureRequest) -> Files:
    return Files("uploads", events=BOTH, settle=0.02, poll=request.param)


async def test_all_that_lies_there_is_enqueued_when_it_is_ready(kit: Any, trigger: Files, uploads: Path) -> None:
    (uploads / "x").mkdir()
    for number in range(300):
        (uploads / "x" / str(number)).write_text("x")
    (uploads / "empty").touch()
    mapping = kit.Recorder(trigger, uploads.parent)
    async with kit.serving(mapping):
        assert len(mapping.created) == 301
    assert mapping.texts.startswith("watches uploads for *, 301 new")


async def test_readiness_does_not_wait_for_who_is_still_writing(kit: Any, trigger: Files, uploads: Path) -> None:
    mapping = kit.Recorder(trigger, uploads.parent)
    (uploads / "done").write_text("x")
    with (uploads / "log").open("w") as log:
        log.write("x")
        log.flush()
        async with kit.serving(mapping):
            assert mapping.created == ["done"]
            log.close()
            await kit.until(lambda: mapping.created == ["done", "log"])


async def test_a_second_run_tells_what_changed_meanwhile(kit: Any, trigger: Files, uploads: Path) -> None:
    for name in ("same", "changed", "removed", "chmod"):
        (uploads / name).write_text(name)
    first = kit.Recorder(trigger, uploads.parent)
    async with kit.serving(first):
        assert len(first.created) == 4
    (uploads / "changed").write_text("another")
    (uploads / "removed").unlink()
    (uploads / "chmod").chmod(0o600)
    (uploads / "new").write_text("x")
    second = kit.Recorder(trigger, uploads.parent, state=first.state)
    async with kit.serving(second):
        assert sorted(second.created) == ["changed", "new"]
        assert second.removed == ["removed"]
    third = kit.Recorder(trigger, uploads.parent, state=first.state)
    async with kit.serving(third):
        assert third.events == []
    assert third.texts.startswith("watches uploads for *, nothing new")


async def test_a_time_set_back_after_closing_is_no_new_version(kit: Any, trigger: Files, uploads: Path) -> None:
    """tar, wget and shutil.copy2 close a file and then give it the time of its original: the next scan sees that."""
    first = kit.Recorder(trigger, uploads.parent)
    async with kit.serving(first):
        (uploads / "a").write_text("x")
        await kit.until(lambda: first.created)
        os.utime(uploads / "a", (1e9, 1e9))
    second = kit.Recorder(trigger, uploads.parent, state=first.state)
    async with kit.serving(second):
        assert second.events == []
    (uploads / "a").write_text("y")
    third = kit.Recorder(trigger, uploads.parent, state=first.state)
    async with kit.serving(third):
        assert third.created == ["a"]


async def test_a_crash_before_it_was_noted_repeats_the_same_event(kit: Any, trigger: Files, uploads: Path) -> None:
    (uploads / "a").write_text("x")

    class Crashing(kit.Values):
        async def put(self, key: str, value: bytes) -> None:
            raise RuntimeError("crashed")

    first = kit.Recorder(trigger, uploads.parent, state=Crashing())
    with pytest.raises(BaseExceptionGroup):
        async with kit.serving(first):
            raise AssertionError("is not ready")
    second = kit.Recorder(trigger, uploads.parent)
    async with kit.serving(second):
        assert [event.id for event in second.events] == [event.id for event in first.events]


async def test_files_that_go_while_their_directory_is_listed(kit: Any, uploads: Path) -> None:
    """One that vanished between its name and its size ended the listing: the rest was not seen, nor watched."""
    for number in range(50):
        (uploads / f"known-{number}").write_text("x")
    mapping = kit.Recorder(Files("uploads"), uploads.parent)
    async with kit.serving(mapping):
        pass
    ledger, agenda = Ledger(mapping), Agenda()
    await ledger.load()
    for number in range(50):
        (uploads / f"folder-{number}").mkdir()
        (uploads / f"folder-{number}" / "new").write_text("x")
    steps = Scanner([ledger], None, agenda).everything()
    next(steps)
    for number in range(50):
        (uploads / f"known-{number}").unlink()
    for _ in steps:
        pass
    assert {str(uploads / f"folder-{number}" / "new") for number in range(50)} <= agenda.paths()


async def test_only_what_was_asked_for_is_told(kit: Any, uploads: Path) -> None:
    (uploads / "a").write_text("x")
    mapping = kit.Recorder(Files("uploads", events=("removed",)), uploads.parent)
    async with kit.serving(mapping):
        assert mapping.events == []
        (uploads / "a").unlink()
        await kit.until(lambda: mapping.removed == ["a"])
        assert mapping.created == []


async def test_a_bucket_that_cannot_be_a_folder_is_refused(kit: Any, uploads: Path) -> None:
    (uploads / "file").write_text("x")
    for bucket, problem in (("uploads/file", "File exists: /"), ("x" * 300, "File name too long: /")):
        mapping = kit.Recorder(Files(bucket), uploads.parent)
        with pytest.raises(ConfigurationError, match=f"'{bucket}' cannot be a folder: {problem}") as caught:
            await Files.run_all([mapping], task_status=anyio.TASK_STATUS_IGNORED)
        assert caught.value.where == mapping.function.where


async def test_a_folder_that_is_gone_says_nothing_of_its_objects(kit: Any, uploads: Path) -> None:
    """A network mount that is away for a moment must not look like the removal of everything."""
    (uploads / "a").write_text("x")
    mapping = kit.Recorder(Files("uploads", events=BOTH, poll=0.01), uploads.parent)
    async with kit.serving(mapping):
        uploads.rename(uploads.parent / "away")
        await anyio.wait_all_tasks_blocked()
        (uploads.parent / "away").rename(uploads)
        (uploads / "b").write_text("x")
        await kit.until(lambda: mapping.created == ["a", "b"])
    assert mapping.removed == []


@pytest.fixture
def of_somebody_else(tmp_path: Path) -> Any:
    """A folder of another user's files: the kernel tells only the owner whether a file is open for writing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    folder = Path("/tmp") / f"fnframe-files-{tmp_path.name}"
    (folder / "uploads").mkdir(parents=True)
    yield folder / "uploads"
    shutil.rmtree(folder)


class _Owner:
    def __enter__(self) -> None:
        os.seteuid(0)

    def __exit__(self, *_: object) -> None:
        os.seteuid(65534)


async def test_other_peoples_files(kit: Any, of_somebody_else: Path) -> None:
    """There a close, a rename and time tell that a file is complete."""
    uploads = of_somebody_else
    (uploads / "there").write_text("x")
    mapping = kit.Recorder(Files("uploads", settle=0.05), uploads.parent)
    os.seteuid(65534)
    try:
        async with kit.serving(mapping):
            assert mapping.created == ["there"]
            with _Owner():
                slow = (uploads / "slow").open("w")
                slow.write("half")
                slow.flush()
                (uploads / "closed").write_text("x")
                (uploads / "temporary.part").write_text("x")
                (uploads / "temporary.part").rename(uploads / "renamed")
                (uploads / "linked").hardlink_to(uploads / "renamed")
                (uploads.parent / "album").mkdir()
                (uploads.parent / "album" / "moved").write_text("x")
                (uploads.parent / "album").rename(uploads / "album")
            await kit.until(lambda: len(mapping.created) == 5)
            assert sorted(mapping.created) == ["album/moved", "closed", "linked", "renamed", "there"]
            with _Owner():
                slow.write("whole")
                slow.close()
            await kit.until(lambda: "slow" in mapping.created)
            assert mapping.objects[-1].size == 9
    finally:
        os.seteuid(0)


async def test_an_engine_that_can_write_nothing_for_a_while_holds_up_and_ends_nothing(
    kit: Any, uploads: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its disk is full, say. Each step of a delivery is refused at first, and none is left out or done twice."""
    monkeypatch.setattr(kit.Values, "put", refused_at_first(kit.Values.put))
    monkeypatch.setattr(kit.Values, "delete", refused_at_first(kit.Values.delete))
    mapping = kit.Recorder(Files("uploads", events=BOTH), uploads.parent)
    mapping.enqueue = refused_at_first(refused_at_first(mapping.enqueue), FunctionNotFound("thumbnail", []))
    async with kit.serving(mapping):
        (uploads / "a").write_text("x")
        await kit.until(lambda: "a" in mapping.state.values)
        (uploads / "a").unlink()
        await kit.until(lambda: mapping.removed and "a" not in mapping.state.values)
    assert (mapping.created, mapping.removed) == (["a"], ["a"])
    assert "what is found waits, and is tried again each second: engine.db: no space" in caplog.text


def refused_at_first(call: Any, error: Exception = EngineFailed("no space", where="engine.db")) -> Any:  # noqa: B008
    """It fails each first time of two."""
    calls = itertools.count()

    async def ask(*arguments: Any) -> Any:
        if next(calls) % 2 == 0:
            raise error
        return await call(*arguments)

    return ask
