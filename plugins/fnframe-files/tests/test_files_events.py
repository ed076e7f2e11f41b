"""What is told of files that come, change and go while the trigger runs: with inotify, and by polling."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from fnframe_files import Files, ObjectCreated, ObjectMissing, ObjectRemoved

pytestmark = pytest.mark.anyio

BOTH = ("created", "removed")


@pytest.fixture(params=[None, 0.01], ids=["inotify", "polling"])
def mapping(request: pytest.FixtureRequest, kit: Any, tmp_path: Path) -> Any:
    return kit.Recorder(Files("uploads", "*.jpg", events=BOTH, settle=0.02, poll=request.param), tmp_path)


@pytest.fixture
def fence(kit: Any, mapping: Any, uploads: Path) -> Any:
    return kit.Fence(mapping, uploads)


async def test_a_written_file_is_told_of_once(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    async with kit.serving(mapping):
        (uploads / "a.jpg").write_bytes(b"12345")
        await kit.until(lambda: mapping.created)
        await fence()
    event, created = mapping.events[0], mapping.objects[0]
    assert mapping.created == ["a.jpg", "fence-1.jpg"]
    assert isinstance(created, ObjectCreated)
    assert (created.bucket.name, created.bucket.folder, created.key, created.size) == (
        "uploads",
        str(uploads),
        "a.jpg",
        5,
    )
    assert created.path.read_bytes() == b"12345"
    assert (event.source, event.type, event.subject) == ("files:uploads", "fnframe.files.ObjectCreated", "a.jpg")
    assert abs(created.time - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


async def test_nothing_is_told_while_somebody_writes(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    async with kit.serving(mapping):
        with (uploads / "slow.jpg").open("wb", buffering=0) as file:
            for _ in range(3):
                file.write(b"x" * 1000)
                await fence()
            assert "slow.jpg" not in mapping.created
        await kit.until(lambda: "slow.jpg" in mapping.created)
    (told,) = [found for found in mapping.objects if found.key == "slow.jpg"]
    assert told.size == 3000


async def test_a_file_with_two_writers_waits_for_the_second(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    path = uploads / "log.jpg"
    async with kit.serving(mapping):
        with path.open("ab", buffering=0) as one:
            with path.open("ab", buffering=0) as other:
                other.write(b"other")
            await fence()
            assert "log.jpg" not in mapping.created
            one.write(b"one")
        await kit.until(lambda: "log.jpg" in mapping.created)
        await fence()
    assert [found.size for found in mapping.objects if found.key == "log.jpg"] == [8]


async def test_renaming_into_place_completes_a_file(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    async with kit.serving(mapping):
        (uploads / "a.jpg.part").write_text("x")
        (uploads / ".hidden.jpg").write_text("x")
        await fence()
        assert mapping.created == ["fence-1.jpg"]
        (uploads / "a.jpg.part").rename(uploads / "a.jpg")
        await kit.until(lambda: "a.jpg" in mapping.created)
        (uploads.parent / "b.jpg").write_text("x")
        (uploads.parent / "b.jpg").rename(uploads / "b.jpg")
        await kit.until(lambda: "b.jpg" in mapping.created)


async def test_a_hard_link_is_an_object(kit: Any, mapping: Any, uploads: Path) -> None:
    (uploads.parent / "elsewhere").write_text("x")
    async with kit.serving(mapping):
        (uploads / "a.jpg").hardlink_to(uploads.parent / "elsewhere")
        await kit.until(lambda: mapping.created == ["a.jpg"])


async def test_a_change_through_another_link_is_found_by_looking(kit: Any, uploads: Path) -> None:
    """The system tells of the folder in which a file was opened only; this came out of the storm's test."""
    mapping = kit.Recorder(Files("uploads"), uploads.parent)
    mapping.settings = Files.Settings(reconcile=0.05)
    elsewhere = uploads.parent / "elsewhere"
    elsewhere.write_text("x")
    (uploads / "a.jpg").hardlink_to(elsewhere)
    async with kit.serving(mapping):
        elsewhere.write_text("more")
        await kit.until(lambda: [found.size for found in mapping.objects] == [1, 4])


async def test_a_link_to_what_is_being_written_elsewhere_waits(
    kit: Any, mapping: Any, uploads: Path, fence: Any
) -> None:
    """Closing it is told of the folder where it was opened only."""
    async with kit.serving(mapping):
        with (uploads.parent / "elsewhere").open("wb", buffering=0) as file:
            file.write(b"half")
            (uploads / "a.jpg").hardlink_to(uploads.parent / "elsewhere")
            await fence()
            assert mapping.created == ["fence-1.jpg"]
            file.write(b"whole")
        await kit.until(lambda: "a.jpg" in mapping.created)
    assert [found.size for found in mapping.objects if found.key == "a.jpg"] == [9]


async def test_a_file_without_a_name_gets_one(kit: Any, mapping: Any, uploads: Path) -> None:
    """`O_TMPFILE` and `linkat`: no close and no rename is told of the folder."""
    descriptor = os.open(uploads, os.O_TMPFILE | os.O_WRONLY)
    async with kit.serving(mapping):
        os.write(descriptor, b"whole")
        here = os.open(uploads, os.O_PATH)
        # With a directory given, Python uses linkat, which follows the link to the open file.
        os.link(f"/proc/self/fd/{descriptor}", "a.jpg", src_dir_fd=here, dst_dir_fd=here)
        os.close(here)
        os.close(descriptor)
        await kit.until(lambda: mapping.created == ["a.jpg"])


async def test_each_change_is_a_new_version(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    path = uploads / "a.jpg"

    def versions() -> list[Any]:
        return [found for found in mapping.objects if found.key == "a.jpg"]

    async with kit.serving(mapping):
        path.write_text("one")
        await kit.until(lambda: len(versions()) == 1)
        with path.open("a") as file:
            file.write(" more")
        await kit.until(lambda: len(versions()) == 2)
        path.write_text("replaced")
        await kit.until(lambda: len(versions()) == 3)
        (uploads / "new.part").write_text("renamed!")
        (uploads / "new.part").replace(path)
        await kit.until(lambda: len(versions()) == 4)
        os.truncate(path, 3)
        path.open("a").close()
        await kit.until(lambda: len(versions()) == 5)
        path.write_text("")
        await kit.until(lambda: len(versions()) == 6)
        await fence()
    assert [found.size for found in versions()] == [3, 8, 8, 8, 3, 0]
    assert all(isinstance(found, ObjectCreated) for found in versions())
    assert len({found.etag for found in versions()}) == 6
    assert len({event.id for event in mapping.events}) == len(mapping.events)
    sequence = [found.sequencer for found in versions()]
    assert sequence == sorted(set(sequence))


async def test_what_changes_no_content_is_no_event(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    path = uploads / "a.jpg"
    async with kit.serving(mapping):
        path.write_text("x")
        await kit.until(lambda: mapping.created)
        path.open("a").close()
        path.chmod(0o600)
        path.read_text()
        (uploads / "empty").mkdir()
        os.mkfifo(uploads / "pipe.jpg")
        await fence()
        await fence()
    assert mapping.created == ["a.jpg", "fence-1.jpg", "fence-2.jpg"]
    assert mapping.removed == []


async def test_removal_is_told_of_what_was_told_before(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    async with kit.serving(mapping):
        for name in ("a.jpg", "b.jpg", "c.txt"):
            (uploads / name).write_text("x")
        await kit.until(lambda: len(mapping.created) == 2)
        etags = {found.key: found.etag for found in mapping.objects}
        (uploads / "a.jpg").unlink()
        (uploads / "b.jpg").rename(uploads / "b.png")
        (uploads / "c.txt").unlink()
        await kit.until(lambda: len(mapping.removed) == 2)
        await fence()
    removed = [found for found in mapping.objects if isinstance(found, ObjectRemoved)]
    assert sorted(found.key for found in removed) == ["a.jpg", "b.jpg"]
    assert all(found.etag == etags[found.key] and found.size == 1 for found in removed)
    # Besides what is there, the state keeps one moment, of the last that was removed.
    assert set(mapping.state.values) == {"fence-1.jpg", ""}


async def test_a_file_that_goes_and_comes_back_is_created_again(kit: Any, mapping: Any, uploads: Path) -> None:
    async with kit.serving(mapping):
        (uploads / "a.jpg").write_text("x")
        await kit.until(lambda: len(mapping.created) == 1)
        (uploads / "a.jpg").rename(uploads.parent / "a.jpg")
        await kit.until(lambda: mapping.removed)
        (uploads.parent / "a.jpg").rename(uploads / "a.jpg")
        await kit.until(lambda: len(mapping.created) == 2)
    first, _, second = mapping.events
    assert mapping.objects[0].etag == mapping.objects[2].etag
    assert first.id != second.id


async def test_a_directory_that_goes_and_comes_back_brings_its_files_again(
    kit: Any, mapping: Any, uploads: Path
) -> None:
    """Its files bear no trace of that, so the events looked like the first ones repeated, and were dropped as such."""
    (uploads / "album").mkdir()
    (uploads / "album" / "a.jpg").write_text("x")
    async with kit.serving(mapping):
        for times in (1, 2, 3):
            await kit.until(lambda times=times: len(mapping.created) == times)
            (uploads / "album").rename(uploads.parent / "album")
            await kit.until(lambda times=times: len(mapping.removed) == times)
            (uploads.parent / "album").rename(uploads / "album")
        await kit.until(lambda: len(mapping.created) == 4)
        (uploads / "album").rename(uploads.parent / "album")
        await kit.until(lambda: len(mapping.removed) == 4)
    (uploads.parent / "album").rename(uploads / "album")
    again = kit.Recorder(mapping.trigger, uploads.parent, state=mapping.state)
    async with kit.serving(again):
        assert again.created == ["album/a.jpg"]
    assert len({event.id for event in [*mapping.events, *again.events]}) == 9


async def test_directories_come_with_their_files(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    outside = uploads.parent / "album"
    (outside / "2026" / "may").mkdir(parents=True)
    for name in ("1.jpg", "2026/2.jpg", "2026/may/3.jpg"):
        (outside / name).write_text("x")
    async with kit.serving(mapping):
        outside.rename(uploads / "album")
        await kit.until(lambda: len(mapping.created) == 3)
        (uploads / "x" / "y").mkdir(parents=True)
        (uploads / "x" / "y" / "z.jpg").write_text("x")
        await kit.until(lambda: len(mapping.created) == 4)
        (uploads / "album" / "2026" / "4.jpg").write_text("x")
        await kit.until(lambda: len(mapping.created) == 5)
    assert mapping.created[3:] == ["x/y/z.jpg", "album/2026/4.jpg"]
    assert sorted(mapping.created[:3]) == ["album/1.jpg", "album/2026/2.jpg", "album/2026/may/3.jpg"]


async def test_a_directory_that_is_renamed_takes_its_files_along(
    kit: Any, mapping: Any, uploads: Path, fence: Any
) -> None:
    (uploads / "old" / "deep").mkdir(parents=True)
    (uploads / "old" / "deep" / "a.jpg").write_text("x")
    async with kit.serving(mapping):
        (uploads / "old").rename(uploads / "new")
        await kit.until(lambda: len(mapping.created) == 2 and mapping.removed)
        (uploads / "new" / "deep" / "b.jpg").write_text("x")
        await kit.until(lambda: "new/deep/b.jpg" in mapping.created)
        (uploads / "new").rename(uploads.parent / "away")
        await kit.until(lambda: len(mapping.removed) == 3)
        (uploads.parent / "away" / "deep" / "c.jpg").write_text("x")
        await fence()
    assert mapping.created == ["old/deep/a.jpg", "new/deep/a.jpg", "new/deep/b.jpg", "fence-1.jpg"]
    assert sorted(mapping.removed) == ["new/deep/a.jpg", "new/deep/b.jpg", "old/deep/a.jpg"]


async def test_a_tree_that_is_deleted_is_removed(kit: Any, mapping: Any, uploads: Path) -> None:
    (uploads / "a" / "b").mkdir(parents=True)
    (uploads / "a" / "b" / "1.jpg").write_text("x")
    (uploads / "a" / "2.jpg").write_text("x")
    async with kit.serving(mapping):
        shutil.rmtree(uploads / "a")
        await kit.until(lambda: sorted(mapping.removed) == ["a/2.jpg", "a/b/1.jpg"])
        (uploads / "a").mkdir()
        (uploads / "a" / "2.jpg").write_text("x")
        await kit.until(lambda: mapping.created[2:] == ["a/2.jpg"])


async def test_symbolic_links_are_not_followed(kit: Any, mapping: Any, uploads: Path, fence: Any) -> None:
    secret = uploads.parent / "secret"
    secret.mkdir()
    (secret / "s.jpg").write_text("x")
    (uploads / "loop").symlink_to(uploads)
    async with kit.serving(mapping):
        (uploads / "link.jpg").symlink_to(secret / "s.jpg")
        (uploads / "folder").symlink_to(secret)
        (secret / "t.jpg").write_text("x")
        await fence()
        await fence()
    assert mapping.created == ["fence-1.jpg", "fence-2.jpg"]


async def test_the_folder_itself_is_not_exchanged_for_a_link(
    kit: Any, mapping: Any, uploads: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write beside it could have functions read, and write, what he may not."""
    monkeypatch.setattr("fnframe_files.watcher.MISSING", 0.02)
    secret = uploads.parent / "secret"
    secret.mkdir()
    (secret / "s.jpg").write_text("x")
    (uploads / "a.jpg").write_text("x")
    async with kit.serving(mapping):
        uploads.rename(uploads.parent / "away")
        uploads.symlink_to(secret)
        await kit.until(lambda: "waiting for it" in caplog.text)
        bucket = mapping.objects[0].bucket
        with pytest.raises(ObjectMissing):
            bucket.get("s.jpg")
        with pytest.raises(NotADirectoryError):
            bucket.put("t.jpg", b"x")
        uploads.unlink()
        (uploads.parent / "away").rename(uploads)
        (uploads / "b.jpg").write_text("x")
        await kit.until(lambda: mapping.created == ["a.jpg", "b.jpg"])
    assert mapping.removed == []
    assert [path.name for path in secret.iterdir()] == ["s.jpg"]


async def test_names_that_are_not_text(kit: Any, mapping: Any, uploads: Path) -> None:
    folder = os.fsencode(uploads)
    Path(os.fsdecode(folder + b"/\xff")).mkdir()
    async with kit.serving(mapping):
        Path(os.fsdecode(folder + b"/\xff/caf\xe9.jpg")).write_text("x")
        await kit.until(lambda: mapping.created == ["%FF/caf%E9.jpg"])
        assert mapping.objects[0].path.read_text() == "x"
        shutil.move(folder + b"/\xff", folder + b"/50%FF")
        await kit.until(lambda: mapping.created[1:] == ["50%25FF/caf%E9.jpg"])
        await kit.until(lambda: mapping.removed == ["%FF/caf%E9.jpg"])


async def test_the_folder_itself_may_go_and_come_back(kit: Any, mapping: Any, uploads: Path) -> None:
    (uploads / "a.jpg").write_text("x")
    async with kit.serving(mapping):
        shutil.rmtree(uploads)
        await anyio.wait_all_tasks_blocked()
        uploads.mkdir()
        (uploads / "b.jpg").write_text("x")
        await kit.until(lambda: "b.jpg" in mapping.created)
        await kit.until(lambda: mapping.removed == ["a.jpg"])


async def test_an_unreadable_file_is_told_of_all_the_same(kit: Any, mapping: Any, uploads: Path) -> None:
    async with kit.serving(mapping):
        (uploads / "a.jpg").touch(mode=0o000)
        (uploads / "b.part").write_text("x")
        (uploads / "b.part").chmod(0o000)
        (uploads / "b.part").rename(uploads / "b.jpg")
        await kit.until(lambda: sorted(mapping.created) == ["a.jpg", "b.jpg"])


async def test_not_recursive(kit: Any, uploads: Path) -> None:
    mapping = kit.Recorder(Files("uploads", recursive=False), uploads.parent)
    (uploads / "x").mkdir()
    (uploads / "x" / "a").write_text("x")
    async with kit.serving(mapping):
        (uploads / "x" / "b").write_text("x")
        (uploads / "c").write_text("x")
        await kit.until(lambda: mapping.created)
    assert mapping.created == ["c"]


async def test_a_full_queue_slows_down_and_loses_nothing(kit: Any, mapping: Any, uploads: Path) -> None:
    async with kit.serving(mapping):
        mapping.bound = 3
        for number in range(10):
            (uploads / f"{number}.jpg").write_text("x")
        await kit.until(lambda: mapping.refused > 1)
        assert len(mapping.created) == 3
        (uploads / "9.jpg").unlink()
        mapping.bound = 100
        # The removed one may have been among the first.
        await kit.until(lambda: set(mapping.created) >= {f"{number}.jpg" for number in range(9)})


async def test_mappings_share_one_instance_and_keep_apart(kit: Any, uploads: Path) -> None:
    def mapping(trigger: Files, function: str) -> Any:
        return kit.Recorder(trigger, uploads.parent, function=function)

    (uploads / "raw").mkdir()
    (uploads / "raw" / "old.jpg").write_text("x")
    every = mapping(Files("uploads"), "every")
    raw = mapping(Files("uploads/raw", "*.jpg"), "raw")
    twin = mapping(Files("uploads", "raw/*"), "twin")
    other = mapping(Files("other"), "other")
    before = _inotify_instances()
    async with kit.serving(every, raw, twin, other):
        assert _inotify_instances() == before + 1
        (uploads / "raw" / "new.jpg").write_text("x")
        (uploads.parent / "other" / "a").write_text("x")
        await kit.until(lambda: [len(each.created) for each in (every, raw, twin, other)] == [2, 2, 2, 1])
    assert _inotify_instances() == before
    assert every.created == twin.created == ["raw/old.jpg", "raw/new.jpg"]
    assert raw.created == ["old.jpg", "new.jpg"]
    assert other.texts == "watches other for *, nothing new, the folder was made"
    assert {event.id for event in every.events}.isdisjoint(event.id for event in twin.events)


async def test_a_mapping_whose_queue_is_full_does_not_hold_up_others(kit: Any, uploads: Path) -> None:
    stuck = kit.Recorder(Files("uploads"), uploads.parent, function="stuck")
    other = kit.Recorder(Files("uploads"), uploads.parent, function="other")
    async with kit.serving(stuck, other):
        stuck.bound = 0
        (uploads / "a").write_text("x")
        await kit.until(lambda: stuck.refused)
        (uploads / "b").write_text("x")
        await kit.until(lambda: other.created == ["a", "b"])
        stuck.bound = 2
        await kit.until(lambda: stuck.created == ["a", "b"])


def _inotify_instances() -> int:
    return [_target(link) for link in Path("/proc/self/fd").iterdir()].count("anon_inode:inotify")


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        # The descriptor by which the folder was listed.
        return ""
