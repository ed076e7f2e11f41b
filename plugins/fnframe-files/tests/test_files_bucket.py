"""Objects read and written by their keys, and no way out of the folder."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from fnframe_files import Bucket, ObjectChanged, ObjectCreated, ObjectMissing, beneath
from fnframe_files.version import version_of


@pytest.fixture
def bucket(uploads: Path) -> Bucket:
    return Bucket("uploads", str(uploads), "thumbnail")


@pytest.fixture(params=["openat2", "step by step"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories are opened by one system call, or where there is none, one after the other."""
    if request.param == "step by step":
        monkeypatch.setattr(beneath, "_open", beneath._walk)


def created(bucket: Bucket, key: str) -> ObjectCreated:
    """The event of what lies there now."""
    path = Path(bucket.folder, key)
    return ObjectCreated(bucket=bucket, key=key, size=path.stat().st_size, etag=version_of(path.stat()).etag())


def visible(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ".fnframe" not in str(path))


@pytest.mark.usefixtures("way")
def test_what_was_put_can_be_got_listed_and_deleted(bucket: Bucket, uploads: Path) -> None:
    bucket.put("a.jpg", b"one")
    bucket.put("2026/may/b.jpg", io.BytesIO(b"two" * 100_000))
    with bucket.create("2026/c.jpg") as file:
        file.write(b"thr")
        file.write(b"ee")
        assert not (uploads / "2026" / "c.jpg").exists()
    assert (uploads / "2026" / "c.jpg").read_bytes() == bucket.get("2026/c.jpg") == b"three"
    with bucket.open("2026/may/b.jpg") as file:
        assert file.read(3) == b"two"
    assert bucket.list() == ["2026/c.jpg", "2026/may/b.jpg", "a.jpg"]
    assert bucket.list("2026/") == ["2026/c.jpg", "2026/may/b.jpg"]
    assert bucket.list("2026/m") == ["2026/may/b.jpg"]
    assert bucket.list("none/") == bucket.list("a.jpg/") == []
    bucket.put("a.jpg", b"new")
    assert bucket.get("a.jpg") == b"new"
    bucket.delete("a.jpg")
    bucket.delete("a.jpg")
    bucket.delete("none/x")
    assert bucket.list() == ["2026/c.jpg", "2026/may/b.jpg"]
    assert visible(uploads) == ["2026", "2026/c.jpg", "2026/may", "2026/may/b.jpg"]


def test_a_bucket_of_ones_own_is_any_folder_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    thumbnails = Bucket("made/thumbnails")
    thumbnails.put("a.jpg", b"x")
    assert thumbnails.get("a.jpg") == b"x"
    assert [path.name for path in (tmp_path / "made" / "thumbnails").iterdir()] == ["a.jpg"]


def test_names_that_are_not_text(bucket: Bucket, uploads: Path) -> None:
    raw = Path(os.fsdecode(os.fsencode(uploads) + b"/\xff/caf\xe9"))
    bucket.put("%FF/caf%E9", b"x")
    assert raw.read_bytes() == b"x"
    assert bucket.list() == bucket.list("%FF/") == ["%FF/caf%E9"]


def test_what_fails_while_it_is_written_never_was_there(bucket: Bucket, uploads: Path) -> None:
    bucket.put("a", b"before")
    with pytest.raises(ZeroDivisionError):
        with bucket.create("a") as file:
            file.write(b"half")
            _ = 1 / 0
    assert bucket.get("a") == b"before"
    assert visible(uploads) == ["a"]
    assert [path for path in uploads.iterdir() if path.name.startswith(".fnframe-part-")] == []


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "key", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a\0b", ".fnframe/x"]
)
def test_what_is_no_key_is_refused(bucket: Bucket, uploads: Path, key: str) -> None:
    (uploads / "a").mkdir()
    for use in (bucket.get, bucket.open, bucket.delete, lambda key: bucket.put(key, b"x")):
        with pytest.raises(ValueError, match="is no key of an object"):
            use(key)
    assert not (uploads.parent / "x").exists()


@pytest.mark.usefixtures("way")
def test_links_lead_nowhere(bucket: Bucket, uploads: Path) -> None:
    outside = uploads.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (uploads / "file").symlink_to(outside / "secret")
    (uploads / "folder").symlink_to(outside)
    (uploads / "self").symlink_to(uploads)
    (uploads / "deep").mkdir()
    (uploads / "deep" / "up").symlink_to("../..")
    for key in ("file", "folder/secret", "self/file", "deep/up/outside/secret"):
        with pytest.raises(ObjectMissing):
            bucket.get(key)
    assert bucket.list() == bucket.list("folder/") == []
    with pytest.raises(NotADirectoryError):
        bucket.put("folder/new", b"x")
    bucket.delete("folder/secret")
    bucket.put("file", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert bucket.get("file") == b"mine"


# Exchanges two paths with each other, without end: there is always one of the two at each.
EXCHANGE = """
import ctypes, os, sys
one, other = map(os.fsencode, sys.argv[1:])
print(flush=True)
while not ctypes.CDLL(None).renameat2(-100, one, -100, other, 2):
    pass
"""


@pytest.mark.usefixtures("way")
def test_a_directory_that_turns_into_a_link_at_the_wrong_moment(bucket: Bucket, uploads: Path) -> None:
    """Nothing is read from outside and nothing is written there, however often it is tried."""
    outside = uploads.parent / "outside"
    outside.mkdir()
    (outside / "x").write_text("secret")
    (uploads / "way").mkdir()
    (uploads / "way" / "x").write_text("mine")
    (uploads / "link").symlink_to(outside)
    command = [sys.executable, "-c", EXCHANGE, str(uploads / "way"), str(uploads / "link")]
    got = {"mine": 0, "missing": 0}
    with subprocess.Popen(command, stdout=subprocess.PIPE) as hostile:
        hostile.stdout.readline()
        while min(got.values()) < 100:
            try:
                got[bucket.get("way/x").decode()] += 1
                bucket.put("way/y", b"mine")
            except ObjectMissing:
                got["missing"] += 1
            except OSError as error:
                assert error.errno in (errno.ENOTDIR, errno.ELOOP)  # noqa: PT017
        hostile.kill()
    assert [path.name for path in outside.iterdir()] == ["x"]


def test_what_is_no_file_is_no_object(bucket: Bucket, uploads: Path) -> None:
    (uploads / "folder").mkdir()
    os.mkfifo(uploads / "pipe")
    for key in ("folder", "pipe", "none", "none/x"):
        with pytest.raises(ObjectMissing, match=f"there is no object '{key}' in the bucket 'uploads'"):
            bucket.get(key)
    (uploads / "file").write_text("x")
    with pytest.raises(ObjectMissing):
        bucket.get("file/x")
    with pytest.raises(IsADirectoryError):
        bucket.put("folder", b"x")
    assert visible(uploads) == ["file", "folder", "pipe"]


def test_an_event_reads_its_own_version(bucket: Bucket, uploads: Path) -> None:
    path = uploads / "a"
    path.write_text("one")
    event = created(bucket, "a")
    assert event.read() == b"one"
    with event.open() as file:
        assert file.read() == b"one"
    path.chmod(0o600)
    os.utime(path, (1e9, 1e9))
    assert event.read() == b"one", "tar, wget and shutil.copy2 set the time back after they closed a file"
    path.write_text("two")
    with pytest.raises(ObjectChanged, match="the object 'a' in the bucket 'uploads' is not the version"):
        event.read()
    assert bucket.get("a") == created(bucket, "a").read() == b"two"
    (uploads / "b").write_text("two")
    (uploads / "b").replace(path)
    with pytest.raises(ObjectChanged):
        event.open()
    path.unlink()
    with pytest.raises(ObjectMissing):
        event.read()


def test_what_is_written_while_it_is_read_is_another_version(bucket: Bucket, uploads: Path) -> None:
    """A writer that is slower than the reader: the version was right when it was opened, and is not at the end."""
    path = uploads / "a"
    path.write_text("one")
    event = created(bucket, "a")
    real = os.fstat

    def late(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        with path.open("a") as file:
            file.write("more")
        return status

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fnframe_files.bucket.os.fstat", late)
        with pytest.raises(ObjectChanged):
            event.read()


def test_an_event_made_by_hand_reads_what_is_there(bucket: Bucket, uploads: Path) -> None:
    (uploads / "a").write_text("x")
    assert ObjectCreated(bucket=bucket, key="a").read() == b"x"
    with pytest.raises(ObjectChanged):
        bucket.get("a", etag="an etag of somebody else's")


def test_no_descriptor_is_left(bucket: Bucket, uploads: Path) -> None:
    (uploads / "link").symlink_to(uploads)
    before = len(list(Path("/proc/self/fd").iterdir()))
    bucket.put("a/b/c", b"x")
    bucket.list()
    for attempt in (
        lambda: bucket.get("none/x"),
        lambda: bucket.get("link/x"),
        lambda: bucket.get("a"),
        lambda: bucket.get("a/b/c", etag="1.2.3"),
        lambda: bucket.put("a/b", b"x"),
        lambda: bucket.put("link/x", b"x"),
    ):
        with pytest.raises((OSError, ObjectChanged)):
            attempt()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_put_that_is_killed_leaves_no_half_object(uploads: Path) -> None:
    script = (
        "import os, sys; from fnframe_files import Bucket\n"
        "with Bucket('uploads', sys.argv[1], 'f').create('a') as file:\n"
        "    file.write(b'half'); file.flush(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(uploads)], check=False)
    assert visible(uploads) == []
    assert len(list(uploads.glob(".fnframe-part-*"))) == 1


def test_a_full_disk_leaves_no_half_object(uploads: Path) -> None:
    script = (
        "import resource, sys; from fnframe_files import Bucket\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Bucket('uploads', sys.argv[1], 'f').put('a', b'x' * 5000)\n"
        "except OSError as error: print(error.strerror)"
    )
    text = subprocess.check_output([sys.executable, "-c", script, str(uploads)], text=True)
    assert text == "File too large\n"
    assert list(uploads.iterdir()) == []


def test_two_that_write_one_object_leave_one_of_the_two(bucket: Bucket, uploads: Path) -> None:
    def write(letter: bytes) -> None:
        for _ in range(50):
            bucket.put("a", letter * 10_000)

    writers: list[Any] = [threading.Thread(target=write, args=(letter,)) for letter in (b"x", b"y")]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        try:
            seen.add(bucket.get("a"))
        except ObjectMissing:
            continue
    assert seen | {bucket.get("a")} <= {b"x" * 10_000, b"y" * 10_000}
    assert visible(uploads) == ["a"]
